"""One received object inside a segment file: what is written, and how it is found again.

A record is `header, object, trailer`. The header says whose the object is and how long; its CRC-32 closes it, and the
trailer repeats that CRC behind the object, so that a record cut anywhere is known as torn.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FIXED = struct.Struct("<4sHHQQQ32s32s")  # magic, version, length of sender, association, ms, object, series, sop
_CRC = struct.Struct("<I")
_TRAILER = struct.Struct("<4sI")
_MAGIC = b"GGSR"
_END = b"GGSE"
_VERSION = 1
_SENDER_BYTES = 256
_NAME = re.compile(r"[0-9]{12}\.seg")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object came from. The tokens are 32 keyed bytes each: no identifier can be read from them."""

    sender: str
    association: int
    series_token: bytes
    sop_token: bytes
    received_at: int  # milliseconds since 1970, UTC


@dataclass(frozen=True, slots=True)
class Record:
    """A durable object: `length` bytes of a Part 10 file from `offset` of `segment`. The next starts at `end`."""

    segment: int
    offset: int
    length: int
    end: int
    sender: str
    association: int
    series_token: bytes
    sop_token: bytes
    received_at: int


def encode_header(origin: Origin, length: int) -> bytes:
    """Return the header of an object of `length` bytes. Raises ValueError for a sender over 256 bytes."""
    sender = origin.sender.encode()
    if len(sender) > _SENDER_BYTES:
        raise ValueError("a sender's name has 256 bytes at most")
    fixed = _FIXED.pack(
        _MAGIC,
        _VERSION,
        len(sender),
        origin.association,
        origin.received_at,
        length,
        origin.series_token,
        origin.sop_token,
    )
    return fixed + sender + _CRC.pack(zlib.crc32(fixed + sender))


def encode_trailer(header: bytes) -> bytes:
    """Return what stands behind the object of this header."""
    return _TRAILER.pack(_END, _CRC.unpack(header[-4:])[0])


def place(origin: Origin, *, segment: int, start: int, header: int, length: int) -> Record:
    """Return the record that starts at `start` of `segment` with a header of `header` bytes."""
    offset = start + header
    return Record(
        segment,
        offset,
        length,
        offset + length + _TRAILER.size,
        origin.sender,
        origin.association,
        origin.series_token,
        origin.sop_token,
        origin.received_at,
    )


def segments(folder: Path) -> list[int]:
    """Return the ordinals of the segments in `folder`, oldest first. All but the last are closed: nothing is added."""
    if not folder.is_dir():
        return []
    return sorted(int(entry.name[:12]) for entry in os.scandir(folder) if _NAME.fullmatch(entry.name))


def segment_path(folder: Path, ordinal: int) -> Path:
    """Return the file of a segment."""
    return folder / f"{ordinal:012d}.seg"


def scan(folder: Path, segment: int, start: int = 0) -> Iterator[Record]:
    """Yield the whole records of a segment from `start`, a record's `end`; stop at the first torn one.

    Sound after a kill: records are appended one after another and a success is answered only when all bytes before the
    record's end are synced, so behind a torn record there is none that was acknowledged.
    """
    fd = os.open(segment_path(folder, segment), os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        while (record := _read(fd, segment, start, size)) is not None:
            yield record
            start = record.end
    finally:
        os.close(fd)


def _read(fd: int, segment: int, start: int, size: int) -> Record | None:
    head = os.pread(fd, _FIXED.size + _SENDER_BYTES + _CRC.size, start)
    if len(head) < _FIXED.size:
        return None
    magic, version, sender_length, association, received_at, length, series, sop = _FIXED.unpack_from(head)
    crc_at = _FIXED.size + sender_length
    if magic != _MAGIC or version != _VERSION or sender_length > _SENDER_BYTES or len(head) < crc_at + _CRC.size:
        return None
    if _CRC.unpack_from(head, crc_at)[0] != zlib.crc32(head[:crc_at]):
        return None
    origin = Origin(head[_FIXED.size : crc_at].decode(), association, series, sop, received_at)
    header = head[: crc_at + _CRC.size]
    record = place(origin, segment=segment, start=start, header=len(header), length=length)
    if record.end > size or os.pread(fd, _TRAILER.size, record.end - _TRAILER.size) != encode_trailer(header):
        return None
    return record
