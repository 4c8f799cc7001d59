"""Write DICOM: elements to bytes, in every transfer syntax the tests need, right or wrong on purpose.

An own writer because test data must be able to lie (false lengths, text in a number, two encodings in one file), which
libraries rightly refuse to do, and because a series of 400 headers has to take a fraction of a second.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

CODECS = {
    "": "cp1252",
    "ISO_IR 6": "cp1252",
    # Windows consoles write cp1252 and call it Latin-1: œ is byte 0x9C there.
    "ISO_IR 100": "cp1252",
    "ISO_IR 192": "utf-8",
    "\\ISO 2022 IR 100": "latin-1",
    "\\ISO 2022 IR 87": "iso2022_jp",
}
"""Specific Character Set (0008,0005) -> how its text is written here."""

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "AT": "HH", "OW": "H"}
_SPACED = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"})
_FOREIGN = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Element:
    """One data element. `value` is text, raw bytes, numbers, or (VR SQ) items, each a tuple of elements."""

    tag: int
    vr: str
    value: Value = ""


Value: TypeAlias = str | bytes | tuple[int | float, ...] | tuple[tuple[Element, ...], ...]


def rows(*given: tuple[int, str, Value]) -> tuple[Element, ...]:
    """Return elements written as a table of (tag, VR, value)."""
    return tuple(Element(tag, vr, value) for tag, vr, value in given)


@dataclass(frozen=True, slots=True)
class Writing:
    """How elements become bytes: transfer syntax, charset, and whether sequences have undefined length."""

    syntax: str = EXPLICIT_LITTLE
    charset: str = "ISO_IR 100"
    undefined_lengths: bool = False

    @property
    def order(self) -> str:
        return ">" if self.syntax == EXPLICIT_BIG else "<"

    @property
    def implicit(self) -> bool:
        return self.syntax == IMPLICIT_LITTLE


def encode(elements: Iterable[Element], writing: Writing) -> bytes:
    """Return the data set of `elements`, sorted by tag (the last of equal tags wins)."""
    unique = {element.tag: element for element in elements}
    return b"".join(_element(unique[tag], writing) for tag in sorted(unique))


def head(tag: int, vr: str, length: int, writing: Writing) -> bytes:
    """Return tag, VR and length of an element whose value follows; the length may lie."""
    group, number = tag >> 16, tag & 0xFFFF
    if writing.implicit:
        return struct.pack("<HHI", group, number, length)
    if vr in _LONG:
        return struct.pack(writing.order + "HH2sHI", group, number, vr.encode("ascii"), 0, length)
    return struct.pack(writing.order + "HH2sH", group, number, vr.encode("ascii"), length)


def _element(element: Element, writing: Writing) -> bytes:
    if element.vr == "SQ":
        return _sequence(element, writing)
    value = _value(element, writing)
    return head(element.tag, element.vr, len(value), writing) + value


def _value(element: Element, writing: Writing) -> bytes:
    value, vr = element.value, element.vr
    if isinstance(value, str):
        codec = CODECS[writing.charset] if vr in _FOREIGN else "latin-1"
        value = value.encode(codec, "replace")
    elif not isinstance(value, bytes):
        code = _NUMBERS[vr]
        count = len(value) // len(code)
        return struct.pack(f"{writing.order}{code * count}", *value)
    return value + (b" " if vr in _SPACED else b"\0") if len(value) % 2 else value


def _sequence(element: Element, writing: Writing) -> bytes:
    items = [encode(item, writing) for item in element.value if isinstance(item, tuple)]
    pack = struct.Struct(writing.order + "HHI").pack
    if writing.undefined_lengths:
        ends = pack(0xFFFE, 0xE00D, 0)
        body = b"".join(pack(0xFFFE, 0xE000, _UNDEFINED) + item + ends for item in items)
        return head(element.tag, "SQ", _UNDEFINED, writing) + body + pack(0xFFFE, 0xE0DD, 0)
    body = b"".join(pack(0xFFFE, 0xE000, len(item)) + item for item in items)
    return head(element.tag, "SQ", len(body), writing) + body


@dataclass(frozen=True, slots=True)
class Part10:
    """A DICOM file in parts (PS3.10 7): what `to_bytes` writes, and what variants replace."""

    elements: tuple[Element, ...]
    writing: Writing = Writing()
    meta: tuple[Element, ...] = ()
    preamble: bytes = bytes(128)
    tail: bytes = b""
    pixels: bytes = field(default=b"", repr=False)
    pixels_vr: str = "OW"

    def __getitem__(self, tag: int) -> str:
        """Return the text of a top-level element, "" when it is absent or not text."""
        for element in self.elements:
            if element.tag == tag and isinstance(element.value, str):
                return element.value
        return ""

    def with_elements(self, *changed: Element) -> tuple[Element, ...]:
        """Return the elements with `changed` added or in place of those of the same tag."""
        tags = {element.tag for element in changed}
        return (*(element for element in self.elements if element.tag not in tags), *changed)

    def dataset(self) -> bytes:
        """Return the data set as written on the wire, pixels last, before deflation."""
        data = encode(self.elements, self.writing)
        if not self.pixels:
            return data
        pixels = _swapped(self.pixels) if self.writing.order == ">" else self.pixels
        return data + head(0x7FE00010, self.pixels_vr, len(pixels), self.writing) + pixels

    def to_bytes(self) -> bytes:
        """Return the whole file: preamble, file meta information, data set, tail."""
        body = self.dataset()
        if self.writing.syntax == DEFLATED:
            body = _deflated(body)
        return self.preamble + b"DICM" + self._meta() + body + self.tail

    def _meta(self) -> bytes:
        required = (
            Element(0x00020001, "OB", b"\0\1"),
            Element(0x00020002, "UI", self[0x00080016]),
            Element(0x00020003, "UI", self[0x00080018]),
            Element(0x00020010, "UI", self.writing.syntax),
            Element(0x00020012, "UI", "2.25.160271936105410632498217263546120943871"),
            Element(0x00020013, "SH", "PHANTOM_1"),
        )
        group = encode((*required, *self.meta), Writing(charset=self.writing.charset))
        return encode([Element(0x00020000, "UL", (len(group),))], Writing()) + group


def _swapped(pixels: bytes) -> bytes:
    swapped = bytearray(len(pixels))
    swapped[0::2], swapped[1::2] = pixels[1::2], pixels[0::2]
    return bytes(swapped)


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
    stream = compressor.compress(data) + compressor.flush()
    return stream + b"\0" * (len(stream) % 2)
