"""Frames by byte range: native, encapsulated, fragmented."""

from __future__ import annotations

import io
import struct

import pytest

from groundglass.series import package
from groundglass.series.package import InvalidPackageError, Member
from support import part10

SOP = f"{part10.SERIES}.1"


def packed(data: bytes):
    out = io.BytesIO()
    manifest = package.pack([Member(SOP, (data,))], out)
    return out.getvalue(), manifest.instances[0]


def bytes_of(data: bytes, instance, number: int) -> bytes:
    return b"".join(data[offset : offset + length] for offset, length in instance.frame_ranges(number))


def encapsulated(fragments: list[bytes], *, frames: int = 1, table: bytes = b"", value: bytes | None = None) -> bytes:
    native = part10.ct(1, more={0x00280008: ("IS", str(frames))})
    head = native[native.index(b"\x08\0\x05\0CS") : -512 - 12]
    pixels = part10.encapsulate(fragments, table=table) if value is None else value
    return part10.meta(SOP, syntax=part10.JPEG_LS) + head + part10.element(0x7FE00010, "OB", pixels, length=0xFFFFFFFF)


def test_native_frames():
    pixels = bytes(range(256)) * 6
    data, instance = packed(part10.ct(1, more={0x00280008: ("IS", "3"), 0x7FE00010: ("OW", pixels)}))
    assert instance.number_of_frames == 3
    assert [bytes_of(data, instance, n) for n in (1, 2, 3)] == [pixels[:512], pixels[512:1024], pixels[1024:]]


def test_an_odd_value_is_padded_and_the_frame_is_not():
    more = {0x00280010: ("US", b"\3\0"), 0x00280011: ("US", b"\3\0"), 0x00280100: ("US", b"\x08\0")}
    data, instance = packed(part10.ct(1, more={**more, 0x7FE00010: ("OB", b"123456789")}))
    assert bytes_of(data, instance, 1) == b"123456789"


def test_frames_that_begin_within_a_byte_have_no_range():
    more = {0x00280010: ("US", b"\3\0"), 0x00280011: ("US", b"\3\0"), 0x00280100: ("US", b"\x01\0")}
    _, instance = packed(part10.ct(1, more={**more, 0x7FE00010: ("OB", b"12")}))
    assert instance.number_of_frames == 0


def test_one_fragment_a_frame():
    data, instance = packed(encapsulated([b"first.", b"second"], frames=2))
    assert [bytes_of(data, instance, n) for n in (1, 2)] == [b"first.", b"second"]
    assert instance.fragments == ()


def test_several_fragments_of_the_only_frame():
    data, instance = packed(encapsulated([b"aa", b"bbbb", b"cc"]))
    assert instance.number_of_frames == 1
    assert bytes_of(data, instance, 1) == b"aabbbbcc"


def test_the_offset_table_tells_frames_of_several_fragments_apart():
    table = struct.pack("<LL", 0, 10 + 12)
    data, instance = packed(encapsulated([b"aa", b"bbbb", b"cc"], frames=2, table=table))
    assert instance.fragments == (2, 1)
    assert [bytes_of(data, instance, n) for n in (1, 2)] == [b"aabbbb", b"cc"]
    with pytest.raises(IndexError):
        instance.frame_ranges(3)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encapsulated([]), id="no-fragment"),
        pytest.param(encapsulated([b"aa", b"bb", b"cc"], frames=2), id="no-table"),
        pytest.param(encapsulated([b"aa", b"bb", b"cc"], frames=2, table=struct.pack("<LL", 0, 3)), id="table-lies"),
        pytest.param(
            encapsulated([b"aa", b"bb", b"cc"], frames=2, table=struct.pack("<LL", 10, 10)), id="table-repeats"
        ),
        pytest.param(encapsulated([b"aa"])[:-8], id="no-delimiter"),
        pytest.param(encapsulated([b"aa"]) + b"\0\0", id="bytes-after"),
        pytest.param(encapsulated([], value=part10.item(b"") + b"\xfe\xff\0\xe0\xff\xff\xff\xff"), id="undefined"),
        pytest.param(encapsulated([], value=part10.item(b"") + b"\xfe\xff\0\xe0\xf0\xff\xff\x7f"), id="too-long"),
    ],
)
def test_fragments_that_do_not_add_up_are_refused(data: bytes):
    with pytest.raises(InvalidPackageError, match="pixel-items"):
        packed(data)


def test_native_syntax_with_encapsulated_pixels_is_refused():
    data = encapsulated([b"aa"]).replace(part10.meta(SOP, syntax=part10.JPEG_LS), part10.meta(SOP))
    with pytest.raises(InvalidPackageError, match="pixel-length"):
        packed(data)
