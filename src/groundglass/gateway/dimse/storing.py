"""One C-STORE under way: its data set goes to the spool behind a file header of our own."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from groundglass.errors import GroundglassError, NoRoomError
from groundglass.gateway.dimse import command
from groundglass.gateway.dimse.command import Command
from groundglass.gateway.dimse.negotiation import IMPLEMENTATION_CLASS_UID, Context
from groundglass.gateway.dimse.pdu import INVALID_VALUE, ProtocolError
from groundglass.gateway.dimse.series_uid import find_series_uid
from groundglass.gateway.spool import Origin, Record, Spill, Spool

MAX_OBJECT_BYTES = 2 * 1024**3  # security.md P1
_HEAD_BYTES = 64 * 1024
_MAX_FRAGMENTS = 1000  # a writev takes 1,024
_IMPLEMENTATION = IMPLEMENTATION_CLASS_UID.encode()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who holds the association."""

    name: str
    association: int


def file_header(sop_class: bytes, sop_instance: bytes, transfer_syntax: bytes) -> bytes:
    """Return preamble and file meta information (PS3.10 7.1), with nothing of the sender's."""
    meta = struct.pack("<HH2s2xI2s", 2, 1, b"OB", 2, b"\0\1") + b"".join(
        struct.pack("<HH2sH", 2, element, b"UI", len(value) + len(value) % 2) + value + b"\0" * (len(value) % 2)
        for element, value in ((2, sop_class), (3, sop_instance), (0x10, transfer_syntax), (0x12, _IMPLEMENTATION))
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta


class Storing:
    """Takes the fragments of one data set. Room and size are failures of the command, its content never is."""

    def __init__(self, spool: Spool, request: Command, context: Context, sender: Sender) -> None:
        self._spool = spool
        self._request = request
        self._syntax = context.transfer_syntax
        self._sender = sender
        self._parts: list[bytes | memoryview] = [
            file_header(request.sop_class_uid, request.sop_instance_uid, context.transfer_syntax.encode())
        ]
        self._size = len(self._parts[0])
        self._origin: Origin | None = None
        self._spill: Spill | None = None
        self._status = command.SUCCESS

    def add(self, data: memoryview) -> None:
        """Take one fragment, which stays valid until `on_full`."""
        self._size += len(data)
        if self._status != command.SUCCESS or not data:
            return
        self._parts.append(data)
        if len(self._parts) >= _MAX_FRAGMENTS:
            self._where_from()
            self._parts[:] = [b"".join(self._parts)]

    def on_full(self) -> None:
        """Let go of the fragments: the object is too large for the buffer, so it goes to disk as it comes."""
        self._attempt(self._spill_parts)
        self._parts.clear()
        if self._size > MAX_OBJECT_BYTES:
            self._fail(command.CANNOT_UNDERSTAND)
        if self._size > 2 * MAX_OBJECT_BYTES:
            raise ProtocolError(INVALID_VALUE)

    def finish(self) -> tuple[int, Record | None]:
        """Return the status to answer, and the durable record if it is success."""
        if self._size > MAX_OBJECT_BYTES:
            self._fail(command.CANNOT_UNDERSTAND)
        records: list[Record] = []
        self._attempt(lambda: records.append(self._store()))
        return self._status, records[0] if records else None

    def discard(self) -> None:
        """Forget what was received so far; nothing after a `finish`."""
        if self._spill is not None:
            self._spill.discard()
            self._spill = None

    def _store(self) -> Record:
        origin = self._where_from()
        if self._spill is None:
            return self._spool.append(self._parts, origin)
        self._spill.write(self._parts)
        record = self._spill.finish()
        self._spill = None
        return record

    def _spill_parts(self) -> None:
        if self._spill is None:
            self._spill = self._spool.spill(self._where_from())
        self._spill.write(self._parts)

    def _where_from(self) -> Origin:
        if self._origin is None:
            head = _first_bytes(self._parts[1:])
            series = find_series_uid(head, self._syntax) or b"association %d" % self._sender.association
            self._origin = Origin(
                self._sender.name,
                self._sender.association,
                self._spool.token(series),
                self._spool.token(self._request.sop_instance_uid),
                time.time_ns() // 1_000_000,
            )
        return self._origin

    def _attempt(self, step: Callable[[], None]) -> None:
        if self._status != command.SUCCESS:
            return
        try:
            step()
        except NoRoomError:
            self._fail(command.OUT_OF_RESOURCES)
        except GroundglassError:
            self._fail(command.PROCESSING_FAILURE)

    def _fail(self, status: int) -> None:
        self._status = status
        self._parts.clear()
        self.discard()


def _first_bytes(parts: list[bytes | memoryview]) -> bytes:
    if parts and len(parts[0]) >= _HEAD_BYTES:
        return bytes(parts[0][:_HEAD_BYTES])
    return b"".join(parts)[:_HEAD_BYTES]
