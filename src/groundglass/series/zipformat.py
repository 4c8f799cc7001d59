"""The one ZIP form of a series package: stored, fixed attributes, entries named by rank, every byte determined.

Given the sizes and CRC-32s of the entries, all other bytes follow; a reader rebuilds and compares them. They are the
bytes that Python's `zipfile` writes with a fixed ZipInfo; its ZIP64 rule (above 2^31 - 1) is ours. APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from groundglass.series.invalid import InvalidPackageError

MAX_ENTRIES = 99_999  # five digits of rank
MAX_ENTRY_BYTES = 2**31 - 1  # so that an entry's own sizes never need ZIP64
LOCAL_BYTES = 39  # 30 fixed and the nine of `00001.dcm`

_LIMIT = 2**31 - 1
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s4B4H3L5H2L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_VERSION, _VERSION64 = 20, 45
_UNIX = 3
_DATE = 1 << 5 | 1  # 1980-01-01
_ATTRIBUTES = 0o100644 << 16  # a regular file, rw-r--r--


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored file: where its local header begins, its length and CRC-32."""

    offset: int
    length: int
    crc: int


def name(rank: int) -> str:
    """Return the name of the entry of this rank, from 1."""
    return f"{rank:05d}.dcm"


def local_header(rank: int, *, length: int, crc: int) -> bytes:
    """Return the bytes before an entry's data. Raises InvalidPackageError beyond the limits."""
    if rank > MAX_ENTRIES:
        raise InvalidPackageError("too-many-instances")
    if length > MAX_ENTRY_BYTES:
        raise InvalidPackageError("instance-too-large")
    named = name(rank).encode()
    return _LOCAL.pack(b"PK\3\4", _VERSION, 0, 0, 0, _DATE, crc, length, length, len(named), 0) + named


def read_local_header(data: bytes, rank: int) -> tuple[int, int] | None:
    """Return (length, crc) of the entry that begins here, None where the directory begins.

    Raises InvalidPackageError("local-header") when any byte differs from ours.
    """
    if data[:4] == b"PK\1\2":
        return None
    if len(data) < LOCAL_BYTES:
        raise InvalidPackageError("truncated")
    crc, length = struct.unpack_from("<LL", data, 14)
    if length > MAX_ENTRY_BYTES or data != local_header(rank, length=length, crc=crc):
        raise InvalidPackageError("local-header")
    return length, crc


def directory(entries: Iterable[Entry]) -> bytes:
    """Return every byte after the last entry's data: the central directory and its end records."""
    found = tuple(entries)
    central = b"".join(_central(rank, entry) for rank, entry in enumerate(found, 1))
    start = found[-1].offset + LOCAL_BYTES + found[-1].length
    return central + _end(count=len(found), size=len(central), start=start)


def _central(rank: int, entry: Entry) -> bytes:
    named, extra, version, offset = name(rank).encode(), b"", _VERSION, entry.offset
    if offset > _LIMIT:
        extra, version, offset = struct.pack("<HHQ", 1, 8, offset), _VERSION64, 0xFFFFFFFF
    return (
        _CENTRAL.pack(
            b"PK\1\2", version, _UNIX, version if extra else _VERSION, 0, 0, 0, 0, _DATE,
            entry.crc, entry.length, entry.length, len(named), len(extra), 0, 0, 0, _ATTRIBUTES, offset,
        )
        + named
        + extra
    )  # fmt: skip


def _end(*, count: int, size: int, start: int) -> bytes:
    wide = b""
    if count > 0xFFFF or start > _LIMIT:
        wide = _END64.pack(b"PK\6\6", 44, _VERSION64, _VERSION64, 0, 0, count, count, size, start)
        wide += _LOCATOR.pack(b"PK\6\7", 0, start + size, 1)
    count, start = min(count, 0xFFFF), min(start, 0xFFFFFFFF)
    return wide + _END.pack(b"PK\5\6", 0, 0, count, count, size, start, 0)
