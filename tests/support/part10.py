"""Small de-identified Part 10 objects, written byte by byte so that tests of our readers do not lean on our writers."""

from __future__ import annotations

import struct
from collections.abc import Mapping

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
STUDY = "2.25.1000"
SERIES = "2.25.2000"
_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def element(tag: int, vr: str, value: bytes | str, *, length: int | None = None) -> bytes:
    """Return one explicit VR little endian element, padded to even length."""
    data = value.encode() if isinstance(value, str) else value
    if len(data) % 2:
        data += b"\0" if vr in {"UI", "OB", "UN"} else b" "
    size = len(data) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HL", 0, size) if vr in _LONG else struct.pack("<H", size)) + data


def item(content: bytes, *, undefined: bool = False) -> bytes:
    """Return one sequence item."""
    head = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF if undefined else len(content))
    return head + content + (struct.pack("<HHL", 0xFFFE, 0xE00D, 0) if undefined else b"")


def sequence_end() -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def meta(sop: str, *, syntax: str = EXPLICIT, sop_class: str = CT) -> bytes:
    """Return preamble and file meta information."""
    body = (
        element(0x00020001, "OB", b"\0\1")
        + element(0x00020002, "UI", sop_class)
        + element(0x00020003, "UI", sop)
        + element(0x00020010, "UI", syntax)
        + element(0x00020012, "UI", "2.25.3")
    )
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<L", len(body))) + body


def encapsulate(fragments: list[bytes], *, table: bytes = b"") -> bytes:
    """Return the value of encapsulated PixelData."""
    return item(table) + b"".join(item(each) for each in fragments) + sequence_end()


def part10(elements: Mapping[int, tuple[str, bytes | str]], *, sop: str, syntax: str = EXPLICIT) -> bytes:
    """Return an object of these elements, in order of tag."""
    return meta(sop, syntax=syntax) + b"".join(element(tag, *elements[tag]) for tag in sorted(elements))


def ct(
    number: int,
    *,
    series: str = SERIES,
    study: str = STUDY,
    sop: str | None = None,
    size: int = 16,
    seed: int = 0,
    patient: str = "GG-000001",
    more: Mapping[int, tuple[str, bytes | str]] | None = None,
) -> bytes:
    """Return slice `number` of a CT series; `seed` changes its pixels."""
    sop = sop or f"{series}.{number}"
    pixels = bytes((number * 31 + seed * 17 + n) % 251 for n in range(256))
    return part10(
        {
            0x00080005: ("CS", "ISO_IR 192"),
            0x00080008: ("CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            0x00080016: ("UI", CT),
            0x00080018: ("UI", sop),
            0x00080060: ("CS", "CT"),
            0x00080070: ("LO", "EXAMPLE"),
            0x0008103E: ("LO", "THORAX"),
            0x00100020: ("LO", patient),
            0x00100040: ("CS", "F"),
            0x00101010: ("AS", "060Y"),
            0x00180015: ("CS", "CHEST"),
            0x00180050: ("DS", "1.25"),
            0x0020000D: ("UI", study),
            0x0020000E: ("UI", series),
            0x00200011: ("IS", "3"),
            0x00200013: ("IS", str(number)),
            0x00200032: ("DS", f"-120.5\\-110\\{-300 + 1.25 * number}"),
            0x00280002: ("US", struct.pack("<H", 1)),
            0x00280010: ("US", struct.pack("<H", size)),
            0x00280011: ("US", struct.pack("<H", size)),
            0x00280100: ("US", struct.pack("<H", 16)),
            0x7FE00010: ("OW", (pixels * (size * size * 2 // 256 + 1))[: size * size * 2]),
            **(more or {}),
        },
        sop=sop,
    )
