"""What the manifest says of one object: its identifiers, shape and frames, read from its own bytes."""

from __future__ import annotations

import functools
import math
import re
import struct
from dataclasses import dataclass

from groundglass.series import frames
from groundglass.series.elements import PIXEL_DATA, UNDEFINED, Element, elements
from groundglass.series.frames import Frames, Range, Read, Shape
from groundglass.series.invalid import InvalidPackageError

MAX_HEADER_BYTES = 64 * 2**20
_FIRST_TAG = 0x00080000  # groups 0, 2, 4 and 6 are not of a data set
_HEAD_BYTES = 16 * 2**10
_EXPLICIT_LE = "1.2.840.10008.1.2.1"
# Explicit big endian and deflated are the only other syntaxes outside this family that are not encapsulated.
_ENCAPSULATED = re.compile(r"1\.2\.840\.10008\.1\.2\.(4\.\d{1,3}|5)")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_PREAMBLE = bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0"


@dataclass(frozen=True, slots=True)
class Facts:
    """One object. `header` = how many of its first bytes come before PixelData."""

    header: int
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    rows: int | None
    columns: int | None
    position: tuple[float, float, float] | None
    frames: tuple[Range, ...]
    fragments: tuple[int, ...]


def data_set_start(head: bytes) -> int:
    """Return where the data set begins. Raises InvalidPackageError("preamble") or ("truncated")."""
    if head[:140] != _PREAMBLE:
        raise InvalidPackageError("preamble")
    if len(head) < 144:
        raise InvalidPackageError("truncated")
    start = 144 + int(struct.unpack_from("<L", head, 140)[0])
    if start > len(head):
        raise InvalidPackageError("truncated")
    return start


def examine(head: bytes, *, size: int, read: Read) -> Facts:
    """Return the facts of an object of `size` bytes that begins with `head`; `read(offset, length)` gives the rest.

    Raises InvalidPackageError; its reason is "truncated" where a longer head might do.
    """
    start = data_set_start(head)
    meta = {item.tag: item for item in elements(head, 144, start)}
    main = {item.tag: item for item in elements(head, start, len(head), beyond=size - len(head))}
    if min(main, default=0) < _FIRST_TAG:
        raise InvalidPackageError("element-order")
    values = _Values(head, meta | main)
    sop_class, sop_instance = values.uid(0x00080016), values.uid(0x00080018)
    if sop_class != values.uid(0x00020002) or sop_instance != values.uid(0x00020003):
        raise InvalidPackageError("meta-disagrees")
    syntax, pixels = values.uid(0x00020010), main.get(PIXEL_DATA)
    found = _frames(values, syntax, pixels, size=size, read=read)
    return Facts(
        header=pixels.start if pixels else size,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        study_instance_uid=values.uid(0x0020000D),
        series_instance_uid=values.uid(0x0020000E),
        transfer_syntax_uid=syntax,
        instance_number=values.integer(0x00200013),
        rows=values.unsigned(0x00280010),
        columns=values.unsigned(0x00280011),
        position=values.position(0x00200032),
        frames=found.ranges,
        fragments=found.fragments,
    )


def facts_of(read: Read, *, size: int) -> Facts:
    """Return the facts of an object of `size` bytes, read from little more than its head. Raises as `examine`."""
    length = _HEAD_BYTES
    while True:
        try:
            return examine(read(0, min(length, size)), size=size, read=read)
        except InvalidPackageError as error:
            if error.reason != "truncated" or length >= min(size, MAX_HEADER_BYTES):
                raise
        length *= 8


def is_uid(text: str) -> bool:
    """Tell whether this is digits and dots that name something, at most 64 of them."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def _frames(values: _Values, syntax: str, pixels: Element | None, *, size: int, read: Read) -> Frames:
    packed = _ENCAPSULATED.fullmatch(syntax) is not None
    if not packed and syntax != _EXPLICIT_LE:
        raise InvalidPackageError("transfer-syntax")
    if pixels is None:
        return Frames()
    if packed != (pixels.length == UNDEFINED):
        raise InvalidPackageError("pixel-length")
    shape = Shape(
        frames=1 if (number := values.integer(0x00280008)) is None else number,
        rows=values.unsigned(0x00280010) or 0,
        columns=values.unsigned(0x00280011) or 0,
        samples=values.unsigned(0x00280002) or 1,
        bits_allocated=values.unsigned(0x00280100) or 0,
    )
    if not 1 <= shape.frames <= frames.MAX_FRAMES:
        raise InvalidPackageError("frame-count")
    if packed:
        return frames.encapsulated(pixels, shape.frames, read, size=size)
    return frames.native(pixels, shape, size=size)


class _Values:
    """The few values that the manifest carries, out of the elements of one object."""

    __slots__ = ("_found", "_head")

    def __init__(self, head: bytes, found: dict[int, Element]) -> None:
        self._head = head
        self._found = found

    def uid(self, tag: int) -> str:
        return _uid(self._raw(tag))

    def integer(self, tag: int) -> int | None:
        return _integer(self._raw(tag))

    def unsigned(self, tag: int) -> int | None:
        raw = self._raw(tag)
        return int.from_bytes(raw, "little") if len(raw) == 2 else None

    def position(self, tag: int) -> tuple[float, float, float] | None:
        try:
            x, y, z = map(float, self._raw(tag).rstrip(b" \0").split(b"\\"))
        except ValueError:
            return None
        return (x, y, z) if all(map(math.isfinite, (x, y, z))) else None

    def _raw(self, tag: int) -> bytes:
        found = self._found.get(tag)
        return b"" if found is None else self._head[found.value : found.end]


# Most values of a series are the same in every slice.
@functools.lru_cache(maxsize=4096)
def _uid(raw: bytes) -> str:
    text = raw.rstrip(b" \0").decode("ascii", "replace")
    if not is_uid(text):
        raise InvalidPackageError("uid")
    return text


@functools.lru_cache(maxsize=4096)
def _integer(raw: bytes) -> int | None:
    text = raw.strip(b" \0")
    return int(text) if re.fullmatch(rb"[+-]?[0-9]{1,12}", text) else None
