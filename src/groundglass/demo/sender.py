"""A light storage sender (C-STORE, C-ECHO) over a plain socket: it costs as little as the receivers it measures.

Used by the demo, the tests and bench. The objects' PDUs are made before the clock runs; `Association.store` sends one
object in one call and waits for its answer.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
PDU_BYTES = 128 * 1024

_IMPLEMENTATION = b"2.25.299792458000000000000000000000000001"
_HEADER = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")
_ITEM = struct.Struct(">BxH")
_ELEMENT = struct.Struct("<HHI")


class SendError(Exception):
    """The receiver refused the association, aborted it or closed the connection. `pdu` is what it sent, if anything."""

    def __init__(self, message: str, pdu: bytes = b"") -> None:
        super().__init__(message)
        self.pdu = pdu


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One object to send: its data set in the encoding of its transfer syntax, without file meta information."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


@dataclass(frozen=True, slots=True)
class Peer:
    """Where to send, and under which names. `pdu_bytes` bounds our PDUs, as the receiver's own maximum does."""

    host: str
    port: int
    calling: str = "SENDER"
    called: str = "GROUNDGLASS"
    pdu_bytes: int = PDU_BYTES
    seconds: float = 30.0
    tls: ssl.SSLContext | None = None


def read_file(path: Path) -> Outgoing:
    """Read a Part 10 file. Raises ValueError if it is none with the usual group 0002."""
    return parse(path.read_bytes())


def parse(content: bytes) -> Outgoing:
    """Take a Part 10 object apart. Raises ValueError if it is none with the usual group 0002."""
    if content[128:132] != b"DICM" or content[132:140] != b"\x02\0\0\0UL\x04\0":
        raise ValueError("not a DICOM file with a file meta group length")
    end = 144 + int(struct.unpack_from("<I", content, 140)[0])
    meta = _file_meta(content[144:end])
    return Outgoing(meta[0x02], meta[0x03], meta[0x10], content[end:])


def _file_meta(group: bytes) -> dict[int, str]:
    found, at = {}, 0
    while at + 8 <= len(group):
        element, vr, length = struct.unpack_from("<2xH2sH", group, at)
        at += 8
        if vr in (b"OB", b"UN", b"UT", b"OW"):
            length = struct.unpack_from("<I", group, at)[0]
            at += 4
        if vr == b"UI":
            found[element] = group[at : at + length].rstrip(b"\0 ").decode("ascii")
        at += length
    return found


class Association:
    """An open association; one context per (class, syntax) pair. Raises SendError, OSError. One thread at a time."""

    def __init__(self, peer: Peer, contexts: Iterable[tuple[str, str]]) -> None:
        self._pairs = {pair: 2 * index + 1 for index, pair in enumerate(dict.fromkeys(contexts))}
        self._message = 0
        self._socket = socket.create_connection((peer.host, peer.port), timeout=peer.seconds)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if peer.tls is not None:
                self._socket = peer.tls.wrap_socket(self._socket, server_hostname=peer.host)
            self._socket.sendall(associate_request(peer, self._pairs))
            self.accepted, theirs = _accepted(_expect(self._socket, 2))
        except BaseException:
            self._socket.close()
            raise
        self._pdu_bytes = min(peer.pdu_bytes, theirs or peer.pdu_bytes)

    def __enter__(self) -> Self:
        """Return itself; the end of the block releases the association, an exception aborts it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release or abort."""
        if kind is None:
            self.release()
        else:
            self.abort()

    def echo(self) -> int:
        """Return the status of a C-ECHO."""
        context = next(number for (name, _), number in self._pairs.items() if name == VERIFICATION)
        self._message = self._message % 0xFFFF + 1
        return self._ask(p_data(context, echo_command(self._message), command=True, pdu_bytes=self._pdu_bytes))

    def frames(self, outgoing: Outgoing) -> bytes:
        """Return the PDUs of a C-STORE of this object, for `send`."""
        context = self._pairs[outgoing.sop_class_uid, outgoing.transfer_syntax_uid]
        self._message = self._message % 0xFFFF + 1
        request = store_command(self._message, outgoing.sop_class_uid.encode(), outgoing.sop_instance_uid.encode())
        return p_data(context, request, command=True, pdu_bytes=self._pdu_bytes) + p_data(
            context, outgoing.data_set, command=False, pdu_bytes=self._pdu_bytes
        )

    def send(self, frames: bytes) -> int:
        """Send a prepared message and return the status of the answer."""
        return self._ask(frames)

    def store(self, outgoing: Outgoing) -> int:
        """Return the status of a C-STORE."""
        return self._ask(self.frames(outgoing))

    def release(self) -> None:
        """End in order."""
        try:
            self._socket.sendall(_HEADER.pack(5, 4) + bytes(4))
            _expect(self._socket, 6)
        finally:
            self._socket.close()

    def abort(self) -> None:
        """End at once."""
        try:
            self._socket.sendall(_HEADER.pack(7, 4) + bytes(4))
        except OSError:
            pass
        finally:
            self._socket.close()

    def _ask(self, frames: bytes) -> int:
        self._socket.sendall(frames)
        return status_of(_expect(self._socket, 4))


def send(peer: Peer, objects: Sequence[Outgoing], *, associations: int = 1) -> list[int]:
    """Send all objects over that many associations at once; return their statuses in the order of the objects.

    Raises the first SendError or OSError of an association once the others have ended.
    """
    statuses = [-1] * len(objects)
    errors: list[Exception] = []

    def run(first: int) -> None:
        mine = range(first, len(objects), associations)
        try:
            with Association(peer, [_pair(objects[index]) for index in mine]) as association:
                for index in mine:
                    statuses[index] = association.store(objects[index])
        except (SendError, OSError) as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(min(associations, len(objects)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return statuses


def echo(peer: Peer) -> int:
    """Return the status of a C-ECHO over an association of its own."""
    with Association(peer, [(VERIFICATION, EXPLICIT_LITTLE_ENDIAN)]) as association:
        return association.echo()


def _pair(outgoing: Outgoing) -> tuple[str, str]:
    return outgoing.sop_class_uid, outgoing.transfer_syntax_uid


def associate_request(peer: Peer, pairs: dict[tuple[str, str], int]) -> bytes:
    """Return an A-ASSOCIATE-RQ (PS3.8 9.3.2) that proposes each pair under its context id."""
    contexts = b"".join(
        _item(0x20, bytes([number, 0, 0, 0]) + _item(0x30, abstract.encode()) + _item(0x40, syntax.encode()))
        for (abstract, syntax), number in pairs.items()
    )
    user = _item(0x51, struct.pack(">I", PDU_BYTES)) + _item(0x52, _IMPLEMENTATION)
    fixed = b"\0\1\0\0" + _title(peer.called) + _title(peer.calling) + bytes(32)
    body = fixed + _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + _item(0x50, user)
    return _HEADER.pack(1, len(body)) + body


def p_data(context: int, message: bytes, *, command: bool, pdu_bytes: int) -> bytes:
    """Return a message as P-DATA-TF PDUs with one value each (PS3.8 9.3.5)."""
    room = pdu_bytes - _PDV.size
    out = []
    for start in range(0, len(message), room) or (0,):
        piece = message[start : start + room]
        last = 2 if start + room >= len(message) else 0
        out += [_HEADER.pack(4, len(piece) + _PDV.size), _PDV.pack(len(piece) + 2, context, last | command), piece]
    return b"".join(out)


def store_command(message: int, sop_class: bytes, sop_instance: bytes) -> bytes:
    """Return a C-STORE-RQ command set (PS3.7 9.3.1)."""
    return _command_set(
        _uid(0x0002, sop_class), _us(0x0100, 1), _us(0x0110, message), _us(0x0700, 0), _us(0x0800, 1),
        _uid(0x1000, sop_instance),
    )  # fmt: skip


def echo_command(message: int) -> bytes:
    """Return a C-ECHO-RQ command set (PS3.7 9.3.5)."""
    return _command_set(
        _uid(0x0002, VERIFICATION.encode()), _us(0x0100, 0x30), _us(0x0110, message), _us(0x0800, 0x0101)
    )


def status_of(pdu: bytes) -> int:
    """Return the status in a response that came as one P-DATA-TF."""
    at = _HEADER.size + _PDV.size
    while at + _ELEMENT.size <= len(pdu):
        _, element, length = _ELEMENT.unpack_from(pdu, at)
        at += _ELEMENT.size
        if element == 0x0900:
            return int(struct.unpack_from("<H", pdu, at)[0])
        at += length
    raise SendError("an answer without a status", pdu)


def _command_set(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def _us(element: int, value: int) -> bytes:
    return _ELEMENT.pack(0, element, 2) + struct.pack("<H", value)


def _uid(element: int, value: bytes) -> bytes:
    padded = value + b"\0" * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(padded)) + padded


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _title(name: str) -> bytes:
    return name.encode("latin-1").ljust(16)[:16]


def _expect(sock: socket.socket, kind: int) -> bytes:
    """Read one PDU, which must be of that kind. Raises SendError."""
    pdu = _read(sock, _HEADER.size)
    found, length = _HEADER.unpack(pdu)
    pdu += _read(sock, length)
    if found != kind:
        raise SendError(f"the receiver sent a PDU of type {found} where {kind} was due", pdu)
    return pdu


def _read(sock: socket.socket, length: int) -> bytes:
    got = b""
    while len(got) < length:
        piece = sock.recv(length - len(got))
        if not piece:
            raise SendError("the receiver closed the connection", got)
        got += piece
    return got


def _accepted(pdu: bytes) -> tuple[dict[int, str], int]:
    """Return the accepted transfer syntax by context id, and the receiver's largest PDU (0: unbounded)."""
    accepted, largest = {}, 0
    for kind, value in _items(pdu[_HEADER.size + 68 :]):
        if kind == 0x21 and value[2] == 0:
            accepted[value[0]] = next((uid.rstrip(b"\0").decode() for sub, uid in _items(value[4:]) if sub == 0x40), "")
        elif kind == 0x50:
            largest = next((struct.unpack(">I", size)[0] for sub, size in _items(value) if sub == 0x51), 0)
    return accepted, largest


def _items(body: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + _ITEM.size <= len(body):
        kind, length = _ITEM.unpack_from(body, at)
        at += _ITEM.size
        found.append((kind, body[at : at + length]))
        at += length
    return found
