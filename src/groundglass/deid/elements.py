"""Writing: explicit VR little endian elements, sequences of defined length, the file meta information."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from struct import pack

from groundglass import __version__
from groundglass.deid.encoding import LONG_VRS, PIXEL_DATA, UNDEFINED

# Ours, under 2.25: SHA-256 of "groundglass implementation class", version 8 bits set.
IMPLEMENTATION_CLASS_UID = b"2.25.215385618974414877543202349349384933954"
IMPLEMENTATION_VERSION_NAME = ("GROUNDGLASS_" + ".".join(__version__.split(".")[:2])).encode()[:16]
_PREAMBLE = bytes(128) + b"DICM"


def element(tag: int, vr: str, value: bytes) -> bytes:
    """One element. Values of odd length are padded as their VR asks (PS3.5 6.2)."""
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    code = vr.encode()
    if code in LONG_VRS:
        return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, code, 0, len(value)) + value
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, code, len(value)) + value


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    return element(tag, "SQ", b"".join(pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items))


def code_item(scheme: str, value: str, meaning: str) -> bytes:
    """The content of one item of a code sequence (PS3.3 8.8)."""
    return (
        element(0x00080100, "SH", value.encode())
        + element(0x00080102, "SH", scheme.encode())
        + element(0x00080104, "LO", meaning.encode())
    )


def file_meta(sop_class: bytes, sop_instance: bytes, transfer_syntax: bytes) -> bytes:
    """Zero preamble and a group 0002 that says nothing about the source (PS3.10 7.1)."""
    own = element(0x00020003, "UI", sop_instance)
    before, after = _around(sop_class, transfer_syntax, len(own))
    return before + own + after


@lru_cache(maxsize=64)
def _around(sop_class: bytes, transfer_syntax: bytes, length: int) -> tuple[bytes, bytes]:
    """What stands before and after a SOP Instance UID element of that length."""
    before = element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", sop_class)
    after = (
        element(0x00020010, "UI", transfer_syntax)
        + element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID)
        + element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME)
    )
    group_length = pack("<I", len(before) + length + len(after))
    return _PREAMBLE + element(0x00020000, "UL", group_length) + before, after


def pixel_header(length: int) -> bytes:
    """The header of PixelData; encapsulated when `length` is UNDEFINED."""
    vr = b"OB" if length == UNDEFINED else b"OW"
    return pack("<HH2sHI", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, vr, 0, length)
