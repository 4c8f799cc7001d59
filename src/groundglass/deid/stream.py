"""One pass over a header: which elements are kept, what tells who it is about, where the pixels are.

No object per element: an element is the slice of its bytes, and eight bytes (tag, VR and length) decide what becomes
of it, remembered from one object to the next (docs/decisions/0010).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from groundglass.deid.encoding import (
    LONG_VRS,
    MAX_ELEMENTS,
    MAX_HEADER,
    MAX_VALUE,
    PIXEL_DATA,
    SHORT_VRS,
    UNDEFINED,
    MalformedError,
    ShortError,
    TooLargeError,
    value_at,
)
from groundglass.deid.nesting import scan

# What becomes of an element. The first four are decided by eight bytes alone; the others need a closer look.
DROP, KEEP, MARK, BOTH, LONG, STOP, RUN = range(7)

# Memory of what was seen: bounded, and only of what is small.
_STEPS, _REMEMBERED, _WORTH_REMEMBERING = 50_000, 2_000, 16 << 10
_MANY_STEPS, _MOST_PATIENCE = 40, 63  # a walk of more steps is worth learning from

_head_explicit = Struct("<HH2sH").unpack_from
_head_implicit = Struct("<HHI").unpack_from

Step = tuple[int, int, int]  # bytes of the element (of its header when LONG), what becomes of it, tag
Inner = tuple[tuple[int, bytes], ...]  # (tag, value) of what identifies inside a sequence


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


@dataclass(slots=True)
class _Run:
    """Elements that stood together in two headers, and what a walk takes from them. `first` is the first one's step."""

    raw: bytes
    kept: list[bytes]
    tags: list[int]
    marks: list[bytes | Inner]
    first: Step


class Walker:
    """Walks data sets of one encoding. It remembers steps and sequences, and nothing of a value's meaning."""

    def __init__(self, kinds: Mapping[int, int], identity: frozenset[int], *, implicit: bool) -> None:
        self._kinds = kinds
        self._identity = identity
        self._implicit = implicit
        self._steps: dict[bytes, Step] = {}
        self._inner: dict[bytes, Inner] = {}
        self._recent: dict[int, bytes] = {}
        self._runs: dict[bytes, _Run] = {}
        self._before: frozenset[bytes] = frozenset()
        self._wait = self._patience = 0

    def walk(self, head: bytes, start: int) -> Header:
        """Walk from `start` to the pixels. MalformedError, TooLargeError, ShortError."""
        kept: list[bytes] = []
        tags: list[int] = []
        marks: list[bytes | Inner] = []
        known, pos = self._steps.get, start
        keep, note, mark = kept.append, tags.append, marks.append
        for steps in range(MAX_ELEMENTS):
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
                    if steps > _MANY_STEPS:
                        self._perhaps_learn(head, start)
                    return Header(kept, tags, marks, *value_at(head, pos, self._implicit))
                elif kind == LONG:
                    length = self._long(head, pos, tag, kept, tags, marks)
                else:
                    run = self._runs[head[pos : pos + 8]]
                    if head.startswith(run.raw, pos):
                        kept += run.kept
                        tags += run.tags
                        marks += run.marks
                        length = len(run.raw)
                    else:
                        length = self._single(head, pos, run.first, kept, tags, marks)
            pos += length
            if pos > MAX_HEADER:
                break
        raise TooLargeError

    def _single(
        self, head: bytes, pos: int, step: Step, kept: list[bytes], tags: list[int], marks: list[bytes | Inner]
    ) -> int:
        """Take one element and return its length: what `walk` does in line."""
        length, kind, tag = step
        if kind == LONG:
            return self._long(head, pos, tag, kept, tags, marks)
        raw = head[pos : pos + length]
        if kind in (MARK, BOTH):
            marks.append(raw)
        if kind in (KEEP, BOTH):
            kept.append(raw)
            tags.append(tag)
        return length

    def _perhaps_learn(self, head: bytes, start: int) -> None:
        """Look for runs of elements that stay the same from header to header, ever less often when there are few."""
        self._wait -= 1
        if self._wait < 0:
            self._patience = min(2 * self._patience + 1, _MOST_PATIENCE)
            self._wait = self._patience
            self._learn(head, start)

    def _learn(self, head: bytes, start: int) -> None:
        if len(self._runs) > _REMEMBERED:
            self._runs.clear()
            self._steps.clear()
        pos, seen = start, set()
        run: _Run | None = None
        while True:
            key = head[pos : pos + 8]
            known = self._runs.get(key)
            step = known.first if known else self._steps.get(key) or self._step(head, pos)
            if step[1] == STOP:
                break
            kept, tags, marks = [], [], []  # type: tuple[list[bytes], list[int], list[bytes | Inner]]
            raw = head[pos : pos + self._single(head, pos, step, kept, tags, marks)]
            seen.add(raw)
            pos += len(raw)
            if raw not in self._before or len(raw) > _WORTH_REMEMBERING:
                run = None
            elif run is None:
                run = self._runs[key] = _Run(raw, kept, tags, marks, step)
                self._steps[key] = (0, RUN, 0)
            else:
                run.raw += raw
                run.kept += kept
                run.tags += tags
                run.marks += marks
        self._before = frozenset(seen)

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
