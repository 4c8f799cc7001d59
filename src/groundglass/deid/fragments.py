"""Encapsulated pixels: the fragments pass untouched, but only when nothing besides the image is in them.

Segments that can carry text (JPEG COM and APPn, JPEG 2000 COM), bytes after the end of the image and padding that is
not zero are refused here; taking them out without loss comes later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError

_item = Struct("<HHI").unpack_from
_u16be = Struct(">H").unpack_from
_u32be = Struct(">I").unpack_from

JPEG = frozenset({
    "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",
})  # fmt: skip
JPEG_2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
RLE = "1.2.840.10008.1.2.5"
CODECS = JPEG | JPEG_2000 | {RLE}
# Start of frame (lossless, JPEG-LS, extended), tables, restart interval, LSE, lines: what an image needs.
_JPEG_TABLES = frozenset({0xC4, 0xDB, 0xDD, 0xF8, 0xDC})
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC3, 0xF7})
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_MARKER_LS = re.compile(rb"\xff+([\x80-\xcf\xd8-\xfe])")
_J2K_SEGMENTS = frozenset({0x51, 0x52, 0x53, 0x5C, 0x5D, 0x5E, 0x5F, 0x55, 0x57, 0x58, 0x60, 0x61, 0x50})
_COMMENT = 0x64
# The comment that two encoders write into every stream: it tells their version and nothing else.
_ENCODER = re.compile(rb"\0\x01(?:Kakadu-v?|Created by OpenJPEG version )\d{1,2}(?:\.\d{1,2}){1,3}\0?")


class NotOnlyImageError(Exception):
    """The stream holds something besides the image, or is not what it says."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """Where the fragments lie (first item tag to the end of the last), and the stream they make."""

    start: int
    end: int
    stream: bytes


def locate(data: bytes, pos: int) -> Fragments | None:
    """The fragments of one frame from the value of PixelData at `pos`; None when the data ends before they do.

    NotOnlyImageError when the items are not a basic offset table, fragments and a delimiter.
    """
    table_seen, start = False, 0
    parts: list[bytes] = []
    while True:
        if pos + 8 > len(data):
            return None
        group, element, length = _item(data, pos)
        if (group, element) == (0xFFFE, 0xE0DD) and table_seen and parts:
            return Fragments(start, pos, b"".join(parts))
        if (group, element) != (0xFFFE, 0xE000) or length == 0xFFFFFFFF or length % 2:
            raise NotOnlyImageError
        if pos + 8 + length > len(data):
            return None
        if not table_seen:
            table_seen, start = True, pos + 8 + length
            if length not in (0, 4):
                raise NotOnlyImageError  # one frame has one offset
        else:
            parts.append(data[pos + 8 : pos + 8 + length])
        pos += 8 + length


def check(stream: bytes, transfer_syntax: str, *, rows: int, columns: int) -> None:
    """Raise NotOnlyImageError unless the stream is one image of this size and nothing else."""
    try:
        if transfer_syntax in JPEG:
            _jpeg(stream, rows, columns, ls=transfer_syntax.endswith(("80", "81")))
        elif transfer_syntax in JPEG_2000:
            _jpeg_2000(stream, rows, columns)
        else:
            _rle(stream, rows * columns)
    except (IndexError, ValueError, StructError) as error:  # the stream ends inside a segment
        raise NotOnlyImageError from error


def _tail(stream: bytes, end: int) -> None:
    """After the end marker at most the one byte that makes the length even: zero, or the fill byte of JPEG."""
    if stream[end:] not in (b"", b"\0", b"\xff"):
        raise NotOnlyImageError


def _jpeg(stream: bytes, rows: int, columns: int, *, ls: bool) -> None:
    if stream[:2] != b"\xff\xd8":
        raise NotOnlyImageError
    pos, frame = 2, False
    while True:
        if stream[pos] != 0xFF:
            raise NotOnlyImageError
        marker = stream[pos + 1]
        if marker == 0xD9:
            if not frame:
                raise NotOnlyImageError
            return _tail(stream, pos + 2)
        length = _u16be(stream, pos + 2)[0]
        if marker in _JPEG_FRAMES:
            height, width = _u16be(stream, pos + 5)[0], _u16be(stream, pos + 7)[0]
            if frame or (height, width) != (rows, columns) or stream[pos + 9] != 1:
                raise NotOnlyImageError
            frame = True
        elif marker == 0xDA:
            found = (_MARKER_LS if ls else _MARKER).search(stream, pos + 2 + length)
            if not frame or found is None:
                raise NotOnlyImageError
            pos = found.end() - 2
            continue
        elif marker not in _JPEG_TABLES or length < 2:
            raise NotOnlyImageError
        pos += 2 + length


def _jpeg_2000(stream: bytes, rows: int, columns: int) -> None:
    if stream[:4] != b"\xff\x4f\xff\x51":
        raise NotOnlyImageError
    width, height, left, top = (_u32be(stream, 8 + 4 * n)[0] for n in range(4))
    if (height - top, width - left) != (rows, columns) or _u16be(stream, 40)[0] != 1:
        raise NotOnlyImageError
    pos = 2
    while True:
        pos = _j2k_segments(stream, pos)
        marker = _u16be(stream, pos)[0]
        if marker == 0xFFD9:
            return _tail(stream, pos + 2)
        if marker != 0xFF90:
            raise NotOnlyImageError
        length = _u32be(stream, pos + 6)[0]
        start = _j2k_segments(stream, pos + 12)
        if _u16be(stream, start)[0] != 0xFF93:
            raise NotOnlyImageError
        end = pos + length if length else stream.rindex(b"\xff\xd9")
        if end < start + 2 or end > len(stream):
            raise NotOnlyImageError
        pos = end


def _j2k_segments(stream: bytes, pos: int) -> int:
    """Go over marker segments that hold no text but an encoder's name; return where the first other marker is."""
    while stream[pos] == 0xFF and (stream[pos + 1] in _J2K_SEGMENTS or stream[pos + 1] == _COMMENT):
        end = pos + 2 + _u16be(stream, pos + 2)[0]
        if stream[pos + 1] == _COMMENT and not _ENCODER.fullmatch(stream, pos + 4, end):
            break
        pos = end
    return pos


def _rle(stream: bytes, pixels: int) -> None:
    """PS3.5 G: two byte planes, one after the other, unused offsets zero, padding zero."""
    count, *offsets = Struct("<16I").unpack_from(stream)
    if count != 2 or any(offsets[2:]) or offsets[0] != 64:
        raise NotOnlyImageError
    limits = [offsets[1], len(stream)]
    for start, limit in zip(offsets[:2], limits, strict=True):
        end = _packed(stream, start, limit, pixels)
        if end > limit or limit - end > 2 or stream[end:limit].strip(b"\0"):
            raise NotOnlyImageError


def _packed(stream: bytes, pos: int, limit: int, pixels: int) -> int:
    """Where the PackBits run that makes `pixels` bytes ends."""
    made = 0
    while made < pixels and pos < limit:
        control = stream[pos]
        if control < 128:
            made += control + 1
            pos += control + 2
        elif control > 128:
            made += 257 - control
            pos += 2
        else:
            pos += 1
    if made != pixels:
        raise NotOnlyImageError
    return pos
