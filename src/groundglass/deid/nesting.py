"""Sequences: gone through without recursion, or taken apart into their items."""

from __future__ import annotations

from groundglass.deid.encoding import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_VALUE,
    UNDEFINED,
    MalformedError,
    ShortError,
    TooLargeError,
    u32,
    value_at,
)

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


def scan(
    data: bytes, pos: int, length: int, implicit: bool, identity: frozenset[int]
) -> tuple[int, list[tuple[int, bytes]]]:
    """Go through a sequence's value at `pos` without recursion: where it ends, and what identifies inside.

    MalformedError, TooLargeError (depth, elements), ShortError.
    """
    found: list[tuple[int, bytes]] = []
    # A frame: where it ends (None: at its delimiter), whether elements or items follow, implicit or not, fragments.
    stack: list[tuple[int | None, bool, bool, bool]] = []
    stack.append((None if length == UNDEFINED else pos + length, False, implicit, False))
    for _ in range(MAX_ELEMENTS):
        end, in_item, plain, fragments = stack[-1]
        if end is not None and pos >= end:
            if pos > end:
                raise MalformedError
            stack.pop()
        else:
            start, size, tag, vr = _next(data, pos, plain or not in_item)
            pos = start
            if not in_item:
                if tag == _SEQUENCE_END and end is None:
                    stack.pop()
                elif tag != _ITEM:
                    raise MalformedError
                elif fragments:
                    pos = _within(data, start, size, end)
                else:
                    stack.append((None if size == UNDEFINED else _within(data, start, size, end), True, plain, False))
            elif tag == _ITEM_END:
                stack.pop()
            elif (
                size == UNDEFINED
                or vr == b"SQ"
                or (plain and tag in identity and data[start : start + 4] == _ITEM_MARK)
            ):
                inner_end = None if size == UNDEFINED else _within(data, start, size, end)
                stack.append((inner_end, False, plain or vr == b"UN", vr in (b"OB", b"OW")))
            else:
                pos = _within(data, start, size, end)
                if tag in identity or vr == b"PN":
                    found.append((tag, data[start:pos]))
        if not stack:
            return pos, found
        if len(stack) > 2 * MAX_DEPTH + 1:
            raise TooLargeError
    raise TooLargeError


_ITEM_MARK = b"\xfe\xff\x00\xe0"


def _next(data: bytes, pos: int, implicit: bool) -> tuple[int, int, int, bytes]:
    """Value start, length, tag and VR of the element or item at `pos`."""
    if pos + 8 > len(data):
        raise ShortError(pos + 8)
    group, element = data[pos] | data[pos + 1] << 8, data[pos + 2] | data[pos + 3] << 8
    if implicit or group == 0xFFFE:
        return pos + 8, u32(data, pos + 4)[0], group << 16 | element, b""
    vr = data[pos + 4 : pos + 6]
    if not (vr.isalpha() and vr.isupper()):
        raise MalformedError
    start, length = value_at(data, pos, False)
    return start, length, group << 16 | element, vr


def _within(data: bytes, start: int, length: int, end: int | None) -> int:
    if length == UNDEFINED or (end is not None and start + length > end):
        raise MalformedError
    if length > MAX_VALUE:
        raise TooLargeError(start + length)
    if start + length > len(data):
        raise ShortError(start + length)
    return start + length


def items(value: bytes, implicit: bool) -> list[list[tuple[int, bytes, bytes, bool]]]:
    """The items of a sequence's value, each a list of (tag, VR, value, implicit inside). As `scan`."""
    result: list[list[tuple[int, bytes, bytes, bool]]] = []
    pos = 0
    while pos + 8 <= len(value):
        start, size, tag, _ = _next(value, pos, True)
        if tag != _ITEM:
            break
        elements: list[tuple[int, bytes, bytes, bool]] = []
        pos = _elements(value, start, None if size == UNDEFINED else start + size, implicit, elements)
        result.append(elements)
        if len(result) > MAX_ELEMENTS:
            raise TooLargeError
    return result


def _elements(
    data: bytes, pos: int, end: int | None, implicit: bool, into: list[tuple[int, bytes, bytes, bool]]
) -> int:
    while end is None or pos < end:
        start, size, tag, vr = _next(data, pos, implicit)
        if tag == _ITEM_END:
            return start
        inside = implicit or vr == b"UN"
        pos = scan(data, start, size, inside, frozenset())[0] if size == UNDEFINED else _within(data, start, size, end)
        into.append((tag, vr, data[start:pos], inside))
    return pos
