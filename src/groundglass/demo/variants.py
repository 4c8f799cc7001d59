"""What else arrives at a gateway: other objects, other encodings, damaged files, and what is not DICOM at all."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator

from groundglass.demo.elements import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, Element, Part10, encode, head, rows
from groundglass.demo.headers import uid

RLE = "1.2.840.10008.1.2.5"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


def localizer(file: Part10) -> Part10:
    """A scout view in a CT object, which real series bring along."""
    return _changed(file, "localizer", (0x00080008, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER"))


def secondary_capture(file: Part10) -> Part10:
    """A screen saved by a workstation; text may be burned in, and nothing in the header says so."""
    return _changed(
        file,
        "capture",
        (0x00080008, "CS", "DERIVED\\SECONDARY"),
        (0x00080016, "UI", SECONDARY_CAPTURE),
        (0x00080064, "CS", "WSD"),
        (0x0008103E, "LO", "Capture ecran"),
    )


def dose_screen(file: Part10) -> Part10:
    """The page of doses that scanners add to a study, with the patient's name in the pixels."""
    return _changed(
        file,
        "dose",
        (0x00080008, "CS", "DERIVED\\SECONDARY\\SCREEN SAVE"),
        (0x00080016, "UI", SECONDARY_CAPTURE),
        (0x00080064, "CS", "SD"),
        (0x0008103E, "LO", "Dose Report"),
        (0x00200011, "IS", "999"),
    )


def burned_in(file: Part10) -> Part10:
    """A CT object that admits text in its pixels."""
    return _changed(file, "burned", (0x00280301, "CS", "YES"))


def overlay_in_pixels(file: Part10, text: str) -> Part10:
    """An overlay plane in the unused high bits of the pixels, as old scanners wrote it; 12 bits stored."""
    pixels = bytearray(file.pixels)
    pixels[1::64] = bytes(value & 0x0F | 0x80 for value in pixels[1::64])
    changed = _changed(
        file,
        "overlay-bits",
        (0x00280101, "US", (12,)),
        (0x00280102, "US", (11,)),
        (0x00280103, "US", (0,)),
        (0x60000010, "US", (512,)),
        (0x60000011, "US", (512,)),
        (0x60000022, "LO", text),
        (0x60000040, "CS", "G"),
        (0x60000050, "SS", (1, 1)),
        (0x60000100, "US", (16,)),
        (0x60000102, "US", (15,)),
    )
    return dataclasses.replace(changed, pixels=bytes(pixels))


def other_pixels(file: Part10) -> Part10:
    """The same SOP Instance UID with other pixels: one of the two is a lie."""
    return dataclasses.replace(file, pixels=file.pixels[:-2] + bytes([file.pixels[-2] ^ 1, file.pixels[-1]]))


def with_uid(file: Part10, sop_instance_uid: str) -> Part10:
    """The file under another SOP Instance UID, which may be no UID at all."""
    return dataclasses.replace(file, elements=file.with_elements(Element(0x00080018, "UI", sop_instance_uid)))


def written_as(file: Part10, syntax: str) -> Part10:
    """The same object in another native transfer syntax (deflated and big endian included)."""
    return dataclasses.replace(file, writing=dataclasses.replace(file.writing, syntax=syntax))


def deflated(file: Part10) -> bytes:
    """The object in Deflated Explicit VR Little Endian."""
    return written_as(file, DEFLATED).to_bytes()


def big_endian(file: Part10) -> bytes:
    """The object in Explicit VR Big Endian."""
    return written_as(file, EXPLICIT_BIG).to_bytes()


def rle(file: Part10) -> bytes:
    """The object in RLE Lossless (PS3.5 G), one fragment, empty offset table; literal runs only."""
    planes = (file.pixels[1::2], file.pixels[0::2])
    packed = [_literal_runs(plane) for plane in planes]
    offsets = (64, 64 + len(packed[0]))
    fragment = struct.pack("<16I", 2, *offsets, *([0] * 13)) + b"".join(packed)
    return encapsulated(file, (fragment,), RLE)


def encapsulated(file: Part10, fragments: tuple[bytes, ...], syntax: str) -> bytes:
    """The object with `fragments` for pixels, whatever they are."""
    writing = dataclasses.replace(file.writing, syntax=syntax)
    item = struct.Struct("<HHI").pack
    padded = (fragment + b"\0" * (len(fragment) % 2) for fragment in fragments)
    body = item(0xFFFE, 0xE000, 0) + b"".join(item(0xFFFE, 0xE000, len(part)) + part for part in padded)
    tail = head(0x7FE00010, "OB", 0xFFFFFFFF, writing) + body + item(0xFFFE, 0xE0DD, 0)
    return dataclasses.replace(file, writing=writing, pixels=b"", tail=tail).to_bytes()


def _literal_runs(plane: bytes) -> bytes:
    runs = (plane[start : start + 128] for start in range(0, len(plane), 128))
    packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
    return packed + b"\0" * (len(packed) % 2)


def huge_multiframe(file: Part10, *, frames: int = 6144) -> bytes:
    """The first bytes of a multi-frame object whose header claims 3 GB of pixels and is followed by none."""
    claimed = frames * len(file.pixels)
    changed = _changed(file, "huge", (0x00080016, "UI", ENHANCED_CT), (0x00280008, "IS", str(frames)))
    tail = head(0x7FE00010, "OW", claimed & 0xFFFFFFFE, file.writing)
    return dataclasses.replace(changed, pixels=b"", tail=tail).to_bytes()


def truncated(file: Part10, *, share: float = 0.5) -> bytes:
    """The first part of the file, cut in its pixels or, with a small share, in its header."""
    whole = file.to_bytes()
    return whole[: int(len(whole) * share)]


def length_beyond_end(file: Part10) -> bytes:
    """A text element that claims a gigabyte."""
    lie = head(0x00204000, "UN", 1 << 30, file.writing)
    short = dataclasses.replace(file, pixels=b"", elements=tuple(e for e in file.elements if e.tag < 0x00204000))
    return short.to_bytes() + lie + b"short"


def deep(file: Part10, *, levels: int = 2000) -> bytes:
    """Sequences within sequences, deeper than any honest file."""
    inner = b""
    writing = dataclasses.replace(file.writing, syntax=EXPLICIT_LITTLE, undefined_lengths=True)
    opening = head(0x0040A730, "SQ", 0xFFFFFFFF, writing) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    inner = opening * levels + closing * levels
    plain = dataclasses.replace(file, writing=writing, pixels=b"", tail=inner)
    return dataclasses.replace(plain, elements=tuple(e for e in file.elements if e.tag < 0x0040A730)).to_bytes()


def without_meta(file: Part10) -> bytes:
    """The bare data set, without preamble and group 0002, as some archives export it."""
    return file.dataset()


def unknown_syntax(file: Part10) -> bytes:
    """Explicit little endian bytes under a transfer syntax that nobody knows."""
    elements = encode(file.elements, dataclasses.replace(file.writing, syntax=EXPLICIT_LITTLE))
    bare = dataclasses.replace(file, writing=dataclasses.replace(file.writing, syntax="2.25.123456"), pixels=b"")
    whole = bare.to_bytes()
    meta_only = whole[: len(whole) - len(bare.dataset())]
    return meta_only + elements


def not_dicom() -> Iterator[tuple[str, bytes]]:
    """Yield (file name, bytes) of things that end up beside images."""
    yield "empty", b""
    yield "one-byte", b"\0"
    yield "notes.txt", b"ceci n'est pas une image\n"
    yield "zeros", bytes(4096)
    yield "preamble-only", bytes(128) + b"DICM"
    yield "picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    yield "archive.zip", b"PK\5\6" + bytes(18)


def _changed(file: Part10, name: str, *changes: tuple[int, str, str | tuple[int, ...]]) -> Part10:
    """Return the file with `changes` and a SOP Instance UID of its own."""
    own = Element(0x00080018, "UI", uid(name, file[0x00080018]))
    return dataclasses.replace(file, elements=file.with_elements(own, *rows(*changes)))
