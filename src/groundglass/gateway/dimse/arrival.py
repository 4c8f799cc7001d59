"""P-DATA as it arrives: whole PDUs in one reused buffer, their fragments as slices of it, nothing copied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from groundglass.gateway.dimse.pdu import (
    A_ABORT,
    A_ASSOCIATE_RQ,
    A_RELEASE_RQ,
    HEADER,
    INVALID_VALUE,
    MAX_DATA_BYTES,
    P_DATA,
    PDV,
    UNEXPECTED,
    UNRECOGNISED,
    ProtocolError,
)
from groundglass.gateway.dimse.wire import PeerGoneError, Wire

BUFFER_BYTES = 2 * MAX_DATA_BYTES


@dataclass(frozen=True, slots=True)
class Fragment:
    """One presentation data value. `data` is valid until the next fragment is asked for with a full buffer."""

    context: int
    is_command: bool
    is_last: bool
    data: memoryview


class Arrival:
    """The fragments of one association. The buffer's pages are touched as far as messages need them."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._head = memoryview(bytearray(HEADER.size))
        self._at = self._end = 0

    def begin(self) -> int:
        """Wait for the next PDU between two messages; return its type. P-DATA is read whole, the rest is skipped."""
        if self._at < self._end:
            return P_DATA
        kind, length = self._read_header(idle=True)
        self._at = self._end = 0
        if kind in (P_DATA, A_RELEASE_RQ, A_ABORT):
            self._read_body(length)
        if kind != P_DATA:
            self._end = 0
        return kind

    def next(self, on_full: Callable[[], None]) -> Fragment:
        """Return the next fragment of the message under way.

        Before the buffer is used again from its start, `on_full` is called: it must let go of all fragments so far.
        """
        while self._at == self._end:
            self._refill(on_full)
        start = self._at + PDV.size
        if start > self._end:
            raise ProtocolError(INVALID_VALUE)
        length, context, control = PDV.unpack_from(self._buffer, self._at)
        stop = start + length - 2
        if length < 2 or stop > self._end:
            raise ProtocolError(INVALID_VALUE)
        self._at = stop
        return Fragment(context, bool(control & 1), bool(control & 2), self._buffer[start:stop])

    def _refill(self, on_full: Callable[[], None]) -> None:
        kind, length = self._read_header(idle=False)
        if kind == A_ABORT:
            raise PeerGoneError
        if kind != P_DATA:
            raise ProtocolError(UNEXPECTED)
        if self._end + length > BUFFER_BYTES:
            on_full()
            self._at = self._end = 0
        self._read_body(length)

    def _read_header(self, *, idle: bool) -> tuple[int, int]:
        self._wire.read(self._head, idle=idle)
        kind, length = HEADER.unpack(self._head)
        if not A_ASSOCIATE_RQ <= kind <= A_ABORT:
            raise ProtocolError(UNRECOGNISED)
        if length > MAX_DATA_BYTES:
            raise ProtocolError(INVALID_VALUE)
        return kind, length

    def _read_body(self, length: int) -> None:
        end = self._end + length
        self._wire.read(self._buffer[self._end : end])
        self._end = end
