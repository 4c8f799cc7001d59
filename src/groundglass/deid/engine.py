"""The de-identifier: the first bytes of an object in, a splice plan out. Pure: no clock, no random, no I/O.

One walk finds what is kept and what tells who it is about; the context of that identity decides each element once and
remembers it; the result is new header bytes and the place of the pixels in the input (docs/decisions/0010).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack
from typing import Any

from groundglass.deid import elements, encoding, fragments, seeds, standard, stream
from groundglass.deid.context import FACTS, Context, Grade, Rejected
from groundglass.deid.encoding import MalformedError, ShortError, TooLargeError
from groundglass.deid.identifiers import Keys
from groundglass.deid.profile import Profile
from groundglass.deid.stream import Header, Walker

__all__ = ["Deidentified", "Engine", "Grade", "NeedMore", "Rejected", "Span"]

MAX_OBJECT = 2 << 30
_MAX_ENCAPSULATED = 256 << 20
_MAX_META = 64 << 10
_MOST_CONTEXTS = 64
_IMPLICIT = "1.2.840.10008.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"
_UNSUPPORTED = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})  # big endian, deflated
_REQUIRED = (0x00080016, 0x00080018, 0x0020000D, 0x0020000E)
# What the context writes itself: never copied from the input.
_OURS = frozenset({
    "charset", "accession", "empty", "zone", "text", "pseudonym", "sex", "age", "serial", "statement",
})  # fmt: skip
_PAIRS = (
    (0x00080012, 0x00080013), (0x00080020, 0x00080030), (0x00080021, 0x00080031), (0x00080022, 0x00080032),
    (0x00080023, 0x00080033), (0x00400244, 0x00400245), (0x00400250, 0x00400251),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the input: they go from file to file untouched."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Deidentified:
    """How to write the clean object. `seeds` are folded original identifiers: they never leave the gateway."""

    parts: tuple[bytes | Span, ...]
    size: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    seeds: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NeedMore:
    """Call again with this many first bytes of the object."""

    length: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """What only the tags decide: the order to write, the pairs of one instant, where our elements go."""

    order: tuple[int, ...] | None
    pairs: tuple[tuple[int, int], ...]
    blocks: tuple[tuple[int, bytes], ...]  # last first
    uids: tuple[int, ...]  # SOP class, SOP instance, study, series


class Engine:
    """De-identifies objects with one profile and one set of keys. Not to be shared between threads."""

    def __init__(self, profile: Profile, keys: Keys) -> None:
        self._profile, self._keys = profile, keys
        self._rules = {
            tag: rule
            for tag, rule in standard.ct_image().items()
            if rule.action not in _OURS and (not rule.needs or rule.needs in profile.keep)
        }
        kinds: dict[int, int] = dict.fromkeys(self._rules, stream.KEEP)
        for tag in FACTS.keys() | seeds.PERSON | seeds.IDENTIFIER:
            kinds[tag] = stream.BOTH if tag in kinds else stream.MARK
        implicit = kinds | dict.fromkeys(seeds.SEQUENCES - kinds.keys(), stream.LONG)
        self._walkers = {
            True: Walker(implicit, seeds.IDENTITY, implicit=True),
            False: Walker(kinds, seeds.IDENTITY, implicit=False),
        }
        self._contexts: dict[tuple[bool, tuple[bytes | stream.Inner, ...]], Context] = {}

    def deidentify(self, head: bytes | bytearray | memoryview, size: int) -> Deidentified | Rejected | NeedMore:
        """Judge a Part 10 object of `size` bytes from its first bytes. Never raises for bad input.

        NeedMore asks for more first bytes, never for more than there are.
        """
        data = head if isinstance(head, bytes) else bytes(head)
        if size > MAX_OBJECT:
            return Rejected("too_large", "refuse")
        try:
            return self._judge(data, size)
        except ShortError as short:
            return _more(short.wanted, len(data), size)
        except MalformedError:
            return Rejected("unreadable", "refuse")
        except TooLargeError as large:
            return Rejected("truncated" if large.wanted > size else "too_large", "refuse")
        except Exception:  # noqa: BLE001 -- whatever an input does to us, that object alone is held back
            return Rejected("unreadable", "refuse")

    def _judge(self, data: bytes, size: int) -> Deidentified | Rejected | NeedMore:
        if data[128:132] != b"DICM":
            return _unmarked(data, size)
        start, syntax, media_class = _read_meta(data)
        if media_class not in ("", standard.CT_IMAGE):
            return Rejected("sop_class_unknown", "refuse")
        if syntax not in (_IMPLICIT, _EXPLICIT) and syntax not in fragments.CODECS:
            known = syntax.startswith("1.2.840.10008.1.2.4.")
            return Rejected("unsupported_codec" if known else "unsupported_transfer_syntax", "review")
        implicit = syntax == _IMPLICIT
        header = self._walkers[implicit].walk(data, start)
        context = self._context(implicit, header)
        if context.rejected is not None:
            return context.rejected
        layout = context.layouts.get(tuple(header.tags))
        if layout is None:
            layout = context.layouts[tuple(header.tags)] = _layout(header.tags, context.inserts)
        if isinstance(layout, Rejected):
            return layout
        assert isinstance(layout, _Layout)
        written = _decide(header.kept, context, layout)
        if Rejected in set(map(type, written)):
            return next(one for one in written if isinstance(one, Rejected))
        encapsulated = header.length == encoding.UNDEFINED
        if encapsulated is not (syntax in fragments.CODECS):
            return Rejected("conformance", "review")
        assert context.shape is not None
        if encapsulated:
            pixels = _fragments(data, size, header, syntax, context.shape[:2])
        else:
            pixels = _native(size, header, context.shape)
        if not isinstance(pixels, tuple):
            return pixels
        return _result(written, pixels, context, layout, syntax if encapsulated else _EXPLICIT)

    def _context(self, implicit: bool, header: Header) -> Context:
        key = (implicit, tuple(header.marks))
        context = self._contexts.get(key)
        if context is None:
            if len(self._contexts) >= _MOST_CONTEXTS:
                self._contexts.pop(next(iter(self._contexts)))
            context = Context(key[1], profile=self._profile, keys=self._keys, rules=self._rules, implicit=implicit)
            self._contexts[key] = context
        return context


def _unmarked(data: bytes, size: int) -> Rejected | NeedMore:
    """What has no Part 10 preamble: a bare data set is told from what is not DICOM at all."""
    if len(data) < min(size, 132):
        return NeedMore(min(size, 132))
    bare = data[:2] == b"\x08\0" and data[2:4] in (b"\0\0", b"\x01\0", b"\x05\0", b"\x08\0", b"\x16\0")
    return Rejected("unreadable", "review") if bare else Rejected("not_dicom", "refuse")


def _more(wanted: int, have: int, size: int) -> NeedMore | Rejected:
    if wanted == size + 8:
        return Rejected("conformance", "review")  # the data set ends without pixels
    if wanted > size:
        return Rejected("truncated", "refuse")
    if wanted > encoding.MAX_HEADER + encoding.MAX_VALUE:
        return Rejected("too_large", "refuse")
    return NeedMore(min(size, max(wanted, 2 * have)))


def _read_meta(data: bytes) -> tuple[int, str, str]:
    """Where the data set starts, transfer syntax and media SOP class. The stated group length may be wrong."""
    pos, found = 132, {b"\x10\0": "", b"\x02\0": ""}
    while data[pos : pos + 2] == b"\x02\x00":
        if pos > _MAX_META:
            raise TooLargeError
        if data[pos + 4 : pos + 6] in encoding.SHORT_VRS and pos + 8 <= len(data):
            start, length = pos + 8, data[pos + 6] | data[pos + 7] << 8
        else:
            start, length = encoding.value_at(data, pos, False)
        if length == encoding.UNDEFINED:
            raise MalformedError
        if start + length > len(data):
            raise ShortError(start + length)
        if data[pos + 2 : pos + 4] in found:
            found[data[pos + 2 : pos + 4]] = data[start : start + length].decode("ascii", "replace").strip(" \0")
        pos = start + length
    if pos + 8 > len(data):
        raise ShortError(pos + 8)
    return pos, found[b"\x10\0"], found[b"\x02\0"]


def _layout(tags: list[int], inserts: dict[int, bytes]) -> _Layout | Rejected:
    missing = [tag for tag in _REQUIRED if tag not in tags]
    if missing:
        return Rejected("bad_uid" if missing != [0x00080016] else "sop_class_unknown", "refuse")
    last = {tag: at for at, tag in enumerate(tags)}  # of a tag that stands twice, the last counts
    order = sorted(last)
    at = {tag: place for place, tag in enumerate(order)}
    pairs = tuple((at[da], at[tm]) for da, tm in _PAIRS if da in at and tm in at)
    blocks: dict[int, bytes] = {}
    for tag in sorted(inserts):
        place = sum(kept < tag for kept in order)
        blocks[place] = blocks.get(place, b"") + inserts[tag]
    return _Layout(
        None if order == tags else tuple(last[tag] for tag in order),
        pairs,
        tuple(sorted(blocks.items(), reverse=True)),
        tuple(at[tag] for tag in _REQUIRED),
    )


def _decide(kept: list[bytes], context: Context, layout: _Layout) -> list[bytes | Rejected]:
    """What is written for every kept element, in order. One that rejects the object is among them."""
    keys: list[bytes | tuple[bytes, bytes, int]] = (
        [*kept] if layout.order is None else [kept[at] for at in layout.order]
    )
    for date, time in layout.pairs:
        da, tm = keys[date], keys[time]
        keys[date], keys[time] = (da, tm, 0), (da, tm, 1)  # type: ignore[assignment]
    return list(map(context.__getitem__, keys))


def _native(size: int, header: Header, shape: tuple[int, ...]) -> tuple[bytes | Span, ...] | Rejected:
    """The pixel element cut to its exact length."""
    rows, columns, samples, bits, frames = shape
    length = rows * columns * samples * frames * bits // 8
    if header.pixels + header.length > size or header.length < length:
        return Rejected("truncated", "refuse")
    return elements.pixel_header(length), Span(header.pixels, length)


def _fragments(
    data: bytes, size: int, header: Header, syntax: str, shape: tuple[int, ...]
) -> tuple[bytes | Span, ...] | Rejected | NeedMore:
    """The fragments as they are behind an empty offset table: one frame needs none."""
    if len(data) < size:
        return Rejected("too_large", "review") if size > _MAX_ENCAPSULATED else NeedMore(size)
    try:
        found = fragments.locate(data, header.pixels)
        if found is None:
            return Rejected("truncated", "refuse")
        fragments.check(found.stream, syntax, rows=shape[0], columns=shape[1])
    except fragments.NotOnlyImageError:
        return Rejected("stream_text", "review")
    opening = elements.pixel_header(encoding.UNDEFINED) + pack("<HHI", 0xFFFE, 0xE000, 0)
    return opening, Span(found.start, found.end - found.start), pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _result(
    written: list[Any], pixels: tuple[bytes | Span, ...], context: Context, layout: _Layout, syntax: str
) -> Deidentified:
    sop_class, sop, study, series = (written[at][8:].rstrip(b"\0") for at in layout.uids)
    for place, block in layout.blocks:
        written.insert(place, block)
    opening = pixels[0]
    assert isinstance(opening, bytes)
    header = elements.file_meta(sop_class, sop, syntax.encode()) + b"".join(written) + opening
    rest = pixels[1:]
    size = len(header) + sum(len(part) if isinstance(part, bytes) else part.length for part in rest)
    return Deidentified(
        (header, *rest), size, context.patient_id, study.decode(), series.decode(), sop.decode(), sop_class.decode(),
        syntax, context.seeds,
    )  # fmt: skip
