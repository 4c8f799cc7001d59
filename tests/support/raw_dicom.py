"""A peer that sends whatever bytes the test likes and reports what came back."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

from groundglass.demo import sender

HEADER = struct.Struct(">BxI")
STORE_CONTEXT, ECHO_CONTEXT = 1, 3
ABORT, ACCEPT, REJECT, DATA, RELEASED = 7, 2, 3, 4, 6


class Raw:
    """One connection."""

    def __init__(self, port: int, *, seconds: float = 20.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)

    def send(self, *pieces: bytes) -> None:
        """Send; a connection that the receiver has already closed is no error."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.socket.sendall(b"".join(pieces))

    def pdu(self) -> tuple[int, bytes] | None:
        """Return type and body of the next PDU; None when the receiver closed."""
        header = self._read(HEADER.size)
        if header is None:
            return None
        kind, length = HEADER.unpack(header)
        body = self._read(length)
        return None if body is None else (kind, body)

    def kinds_until_closed(self) -> list[int]:
        """Return the types of everything that still comes."""
        kinds = []
        while (found := self.pdu()) is not None:
            kinds.append(found[0])
        return kinds

    def status(self) -> int:
        """Return the status of the response that is due."""
        found = self.pdu()
        assert found is not None, "the receiver closed instead of answering"
        kind, body = found
        assert kind == DATA, f"a PDU of type {kind} instead of an answer"
        return sender.status_of(HEADER.pack(kind, len(body)) + body)

    def _read(self, length: int) -> bytes | None:
        got = b""
        while len(got) < length:
            try:
                piece = self.socket.recv(length - len(got))
            except ConnectionError:
                return None
            if not piece:
                return None
            got += piece
        return got


def request(**names: str) -> bytes:
    """Return a proposal of CT storage and verification."""
    pairs = {
        (sender.CT_IMAGE_STORAGE, sender.EXPLICIT_LITTLE_ENDIAN): STORE_CONTEXT,
        (sender.VERIFICATION, sender.EXPLICIT_LITTLE_ENDIAN): ECHO_CONTEXT,
    }
    return sender.associate_request(sender.Peer("", 0, **names), pairs)


def store(outgoing: sender.Outgoing, *, pdu_bytes: int = 65536, uid: bytes | None = None) -> bytes:
    """Return the PDUs of a C-STORE."""
    command = sender.store_command(
        1, outgoing.sop_class_uid.encode(), uid if uid is not None else outgoing.sop_instance_uid.encode()
    )
    return sender.p_data(STORE_CONTEXT, command, command=True, pdu_bytes=pdu_bytes) + sender.p_data(
        STORE_CONTEXT, outgoing.data_set, command=False, pdu_bytes=pdu_bytes
    )


@contextlib.contextmanager
def associated(port: int, **names: str) -> Iterator[Raw]:
    """Give an open association; its connection is closed at the end, without release."""
    raw = Raw(port)
    with raw.socket:
        raw.send(request(**names))
        found = raw.pdu()
        assert found is not None
        assert found[0] == ACCEPT
        yield raw
