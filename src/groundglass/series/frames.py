"""Where each frame of an object lies, so that it can be served by byte range (PS3.5 8.1, 8.2 and A.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from groundglass.series.elements import UNDEFINED, Element
from groundglass.series.invalid import InvalidPackageError

Range = tuple[int, int]
Read = Callable[[int, int], bytes]

MAX_FRAMES = 100_000
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True, slots=True)
class Frames:
    """Byte ranges (offset, length) within the object.

    `fragments`: how many of `ranges` make each frame, () when each is one.
    """

    ranges: tuple[Range, ...] = ()
    fragments: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """What the header says of the pixels."""

    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int


def native(pixels: Element, shape: Shape, *, size: int) -> Frames:
    """Return the frames of native pixel data. None when a frame does not begin on a byte.

    Raises InvalidPackageError("pixel-length") when the value is not what the header says.
    """
    bits = shape.rows * shape.columns * shape.samples * shape.bits_allocated
    total = (bits * shape.frames + 7) // 8
    if pixels.length != total + total % 2 or pixels.end != size:
        raise InvalidPackageError("pixel-length")
    if bits % 8:
        return Frames()
    length = bits // 8
    return Frames(tuple((pixels.value + n * length, length) for n in range(shape.frames)))


def encapsulated(pixels: Element, frames: int, read: Read, *, size: int) -> Frames:
    """Return the frames of encapsulated pixel data, each of one or more fragments.

    Frames are told apart by the basic offset table; without one each fragment is a frame, or all of them the only one.
    Raises InvalidPackageError("pixel-items").
    """
    table, *fragments = _fragments(pixels.value, read, size)
    if not fragments:
        raise InvalidPackageError("pixel-items")
    if len(fragments) == frames:
        return Frames(tuple(fragments))
    if frames == 1:
        return Frames(tuple(fragments), (len(fragments),))
    starts = _offset_table(read(*table))
    first = fragments[0][0] - 8
    ranks = {offset - 8 - first: rank for rank, (offset, _) in enumerate(fragments)}
    if len(starts) != frames or any(start not in ranks for start in starts):
        raise InvalidPackageError("pixel-items")
    edges = [ranks[start] for start in starts] + [len(fragments)]
    counts = tuple(after - before for before, after in pairwise(edges))
    if edges[0] != 0 or min(counts) < 1:
        raise InvalidPackageError("pixel-items")
    return Frames(tuple(fragments), counts)


def _fragments(at: int, read: Read, size: int) -> Iterator[Range]:
    """Yield the value of each item, the offset table first; the delimiter must end the object."""
    for _ in range(MAX_FRAMES + 1):
        if at + 8 > size:
            break
        header = read(at, 8)
        (length,) = struct.unpack_from("<L", header, 4)
        if header[:4] == _SEQUENCE_END and length == 0 and at + 8 == size:
            return
        if header[:4] != _ITEM or length == UNDEFINED or length % 2 or at + 8 + length > size:
            break
        yield at + 8, length
        at += 8 + length
    raise InvalidPackageError("pixel-items")


def _offset_table(value: bytes) -> tuple[int, ...]:
    if len(value) % 4:
        raise InvalidPackageError("pixel-items")
    return struct.unpack(f"<{len(value) // 4}L", value)
