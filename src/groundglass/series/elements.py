"""A walker over explicit VR little endian data sets (PS3.5 7.1.2): the only encoding in our packages.

It refuses rather than repairs: unknown VRs, tags out of order, lengths beyond the end, implicit content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from groundglass.series.invalid import InvalidPackageError

PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF
MAX_DEPTH = 16
MAX_ELEMENTS = 100_000

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_short = struct.Struct("<HH2sH").unpack_from
_long = struct.Struct("<2xL").unpack_from
_item = struct.Struct("<HHL").unpack_from


class Element(NamedTuple):
    """One element: its bytes are [start, end) of the data, its value (items and their delimiters too) [value, end).

    `length` is the one declared, UNDEFINED included. For PixelData of the main data set `end` may lie beyond the data.
    """

    tag: int
    vr: bytes
    start: int
    value: int
    end: int
    length: int


def elements(data: bytes, start: int, end: int, *, beyond: int = 0, depth: int = 0) -> Iterator[Element]:
    """Yield the elements of the data set [start, end), in order.

    `beyond`: how many bytes the object has after `end`; PixelData of the main data set may reach into them, or have an
    undefined length, and is the last element yielded. Raises InvalidPackageError; its reason is "truncated" where more
    of the head is needed.
    """
    last = -1
    for _ in range(MAX_ELEMENTS):
        if start == end and not beyond:
            return
        if start + 12 > end and (beyond or start + 8 > end):
            raise InvalidPackageError("truncated")
        group, number, vr, length = _short(data, start)
        tag, value = group << 16 | number, start + 8
        if vr in _LONG_VRS:
            if length or start + 12 > end:
                raise InvalidPackageError("element-length")
            (length,) = _long(data, start + 6)
            value = start + 12
        elif vr not in _SHORT_VRS:
            raise InvalidPackageError("element-vr")
        if tag <= last or group == 0xFFFE:
            raise InvalidPackageError("element-order")
        if depth == 0 and tag == PIXEL_DATA:
            yield Element(tag, vr, start, value, value + length if length != UNDEFINED else -1, length)
            return
        stop = value + length if length != UNDEFINED else _sequence_end(data, value, end, vr, depth)
        if stop > end:
            raise InvalidPackageError("truncated" if beyond else "element-length")
        yield Element(tag, vr, start, value, stop, length)
        last, start = tag, stop
    raise InvalidPackageError("too-many-elements")


def items(data: bytes, sequence: Element, *, depth: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the data set of each item of a sequence that stands `depth` levels down."""
    at = sequence.value
    end = sequence.end - (8 if sequence.length == UNDEFINED else 0)
    while at < end:
        start, stop, after = _item_bounds(data, at, end, depth + 1)
        yield start, stop
        at = after


def _sequence_end(data: bytes, at: int, end: int, vr: bytes, depth: int) -> int:
    """Return the offset after the delimiter of a sequence of undefined length."""
    if vr != b"SQ":
        raise InvalidPackageError("element-length")
    while at + 8 <= end:
        group, number, length = _item(data, at)
        if group << 16 | number == _SEQUENCE_END:
            if length:
                raise InvalidPackageError("element-length")
            return at + 8
        at = _item_bounds(data, at, end, depth + 1)[2]
    raise InvalidPackageError("truncated")


def _item_bounds(data: bytes, at: int, end: int, depth: int) -> tuple[int, int, int]:
    """Return (start, end, start of what follows) of the item at `at`."""
    if depth >= MAX_DEPTH:
        raise InvalidPackageError("too-deep")
    if at + 8 > end:
        raise InvalidPackageError("truncated")
    group, number, length = _item(data, at)
    if group << 16 | number != _ITEM:
        raise InvalidPackageError("item-tag")
    start = at + 8
    if length == UNDEFINED:
        stop = _dataset_end(data, start, end, depth)
        return start, stop, stop + 8
    if start + length > end:
        raise InvalidPackageError("truncated")
    return start, start + length, start + length


def _dataset_end(data: bytes, at: int, end: int, depth: int) -> int:
    """Return where the item delimiter of an item of undefined length stands."""
    while at + 8 <= end:
        group, number, vr, length = _short(data, at)
        if group << 16 | number == _ITEM_END:
            if vr != b"\0\0" or length:
                raise InvalidPackageError("element-length")
            return at
        value = at + 8
        if vr in _LONG_VRS:
            if length or at + 12 > end:
                raise InvalidPackageError("element-length")
            (length,) = _long(data, at + 6)
            value = at + 12
        elif vr not in _SHORT_VRS:
            raise InvalidPackageError("element-vr")
        at = value + length if length != UNDEFINED else _sequence_end(data, value, end, vr, depth)
    raise InvalidPackageError("truncated")
