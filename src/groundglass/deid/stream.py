"""One pass over a header: which elements are kept, what tells who it is about, where the pixels are.

No object per element: an element is the slice of its bytes, and eight bytes (tag, VR and length) decide what becomes
of it, remembered from one object to the next (docs/decisions/0010).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = 0x7FE00010
MAX_DEPTH = 16
MAX_ELEMENTS = 100_000
MAX_VALUE = 16 << 20
MAX_HEADER = 64 << 20
# Memory of what was seen: bounded, and only of what is small.
_STEPS, _REMEMBERED, _WORTH_REMEMBERING = 50_000, 2_000, 16 << 10

# What becomes of an element. The first four are decided by eight bytes alone; the others need a closer look.
DROP, KEEP, MARK, BOTH, LONG, STOP = range(6)

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_head_explicit = Struct("<HH2sH").unpack_from
_head_implicit = Struct("<HHI").unpack_from
_u32 = Struct("<I").unpack_from

Step = tuple[int, int, int]  # bytes of the element (of its header when LONG), what becomes of it, tag
Inner = tuple[tuple[int, bytes], ...]  # (tag, value) of what identifies inside a sequence


class MalformedError(Exception):
    """The bytes are not a DICOM data set."""


class TooLargeError(Exception):
    """More elements, depth or bytes than the limits allow. `wanted` is where a too long value would end."""

    def __init__(self, wanted: int = 0) -> None:
        super().__init__()
        self.wanted = wanted


class ShortError(Exception):
    """The walk needs bytes up to `wanted`."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted = wanted


@dataclass(slots=True)
class Header:
    """What one walk found. `kept` are raw elements and `tags` theirs; `marks` decide the context.

    `pixels` is the offset of the pixel value and `length` its length, UNDEFINED when encapsulated.
    """

    kept: list[bytes]
    tags: list[int]
    marks: list[bytes | Inner]
    pixels: int
    length: int


class Walker:
    """Walks data sets of one encoding. It remembers steps and sequences, and nothing of a value's meaning."""

    def __init__(self, kinds: Mapping[int, int], identity: frozenset[int], *, implicit: bool) -> None:
        self._kinds = kinds
        self._identity = identity
        self._implicit = implicit
        self._steps: dict[bytes, Step] = {}
        self._inner: dict[bytes, Inner] = {}
        self._recent: dict[int, bytes] = {}

    def walk(self, head: bytes, start: int) -> Header:
        """Walk from `start` to the pixels. MalformedError, TooLargeError, ShortError."""
        kept: list[bytes] = []
        tags: list[int] = []
        marks: list[bytes | Inner] = []
        known, pos = self._steps.get, start
        keep, note, mark = kept.append, tags.append, marks.append
        for _ in range(MAX_ELEMENTS):
            step = known(head[pos : pos + 8])
            if step is None:
                step = self._step(head, pos)
            length, kind, tag = step
            if kind == KEEP:
                keep(head[pos : pos + length])
                note(tag)
            elif kind:
                if kind <= BOTH:
                    raw = head[pos : pos + length]
                    mark(raw)
                    if kind == BOTH:
                        keep(raw)
                        note(tag)
                elif kind == STOP:
                    return Header(kept, tags, marks, *value_at(head, pos, self._implicit))
                else:
                    length = self._long(head, pos, tag, kept, tags, marks)
            pos += length
            if pos > MAX_HEADER:
                break
        raise TooLargeError

    def _step(self, head: bytes, pos: int) -> Step:
        if pos + 8 > len(head):
            raise ShortError(pos + 8)
        if self._implicit:
            group, element, length = _head_implicit(head, pos)
            tag = group << 16 | element
            long = length == UNDEFINED or self._kinds.get(tag, DROP) >= LONG
            size = 8 + length
        else:
            group, element, vr, length = _head_explicit(head, pos)
            tag = group << 16 | element
            long = vr not in SHORT_VRS
            size = 8 + length
            if long and vr not in LONG_VRS and not (vr.isalpha() and vr.isupper()):
                raise MalformedError
        kind = self._kind(tag, group, element)
        if not self._implicit and vr == b"PN" and kind == DROP:
            kind = MARK
        if tag == PIXEL_DATA:
            kind = STOP
        elif group == 0xFFFE:
            raise MalformedError
        elif long:
            kind = LONG
        elif size > MAX_VALUE:
            raise TooLargeError(pos + size)
        step = (size, kind, tag)
        if len(self._steps) > _STEPS:
            self._steps.clear()
        self._steps[head[pos : pos + 8]] = step
        return step

    def _kind(self, tag: int, group: int, element: int) -> int:
        if group & 0xFF01 == 0x6000 and element == 0x0102:
            return MARK  # an overlay may lie in the unused bits of the pixels
        return self._kinds.get(tag, DROP)

    def _long(
        self, head: bytes, pos: int, tag: int, kept: list[bytes], tags: list[int], marks: list[bytes | Inner]
    ) -> int:
        """Take an element whose eight bytes do not tell all. Return its length."""
        recent = self._recent.get(tag)
        if recent is not None and head.startswith(recent, pos):
            raw = recent  # a data set tells its own end: the same bytes end at the same place
        else:
            raw = head[pos : self._end(head, pos)]
            if len(self._recent) > _REMEMBERED:
                self._recent.clear()
            if len(raw) <= _WORTH_REMEMBERING:
                self._recent[tag] = raw
        inner = self._inner.get(raw)
        if inner is None:
            inner = self._identity_in(raw, tag)
        if inner:
            marks.append(inner)
        kind = self._kinds.get(tag, DROP)
        if kind in (MARK, BOTH):
            marks.append(raw)
        if kind in (KEEP, BOTH):
            kept.append(raw)
            tags.append(tag)
        return len(raw)

    def _end(self, head: bytes, pos: int) -> int:
        start, length = value_at(head, pos, self._implicit)
        if length != UNDEFINED:
            if length > MAX_VALUE:
                raise TooLargeError(start + length)
            if start + length > len(head):
                raise ShortError(start + length)
            return start + length
        return scan(head, start, UNDEFINED, self._inside(head, pos), self._identity)[0]

    def _identity_in(self, raw: bytes, tag: int) -> Inner:
        start, length = value_at(raw, 0, self._implicit)
        inner: Inner = ()
        is_sequence = length == UNDEFINED or (tag in self._identity if self._implicit else raw[4:6] == b"SQ")
        if is_sequence or (not self._implicit and raw[4:6] == b"UN" and tag in self._identity):
            try:
                inner = tuple(scan(raw, start, length, self._inside(raw, 0), self._identity)[1])
            except (MalformedError, ShortError):
                if length == UNDEFINED or raw[4:6] == b"SQ":
                    raise MalformedError from None
                inner = ((tag, raw[start:]),)
        if len(self._inner) > _REMEMBERED:
            self._inner.clear()
        if len(raw) <= _WORTH_REMEMBERING:
            self._inner[raw] = inner
        return inner

    def _inside(self, data: bytes, pos: int) -> bool:
        """Whether items inside are implicit: CP-246 says so for UN."""
        return self._implicit or data[pos + 4 : pos + 6] == b"UN"


def value_at(data: bytes, pos: int, implicit: bool) -> tuple[int, int]:
    """Where the value of the element at `pos` starts, and its length."""
    if pos + 8 > len(data):
        raise ShortError(pos + 8)
    if implicit:
        return pos + 8, _u32(data, pos + 4)[0]
    vr = data[pos + 4 : pos + 6]
    if vr in SHORT_VRS:
        return pos + 8, data[pos + 6] | data[pos + 7] << 8
    if pos + 12 > len(data):
        raise ShortError(pos + 12)
    return pos + 12, _u32(data, pos + 8)[0]


def value_of(raw: bytes, implicit: bool) -> tuple[int, bytes, bytes]:
    """Tag, VR (empty when implicit) and value of a raw element that was walked."""
    start, _ = value_at(raw, 0, implicit)
    tag = (raw[0] | raw[1] << 8) << 16 | raw[2] | raw[3] << 8
    return tag, b"" if implicit else raw[4:6], raw[start:]


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
        return pos + 8, _u32(data, pos + 4)[0], group << 16 | element, b""
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
