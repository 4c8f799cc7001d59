"""read_manifest refuses every package that is not byte for byte in our form, and says why by a slug only."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.series import headers, package, zipformat
from groundglass.series.invalid import REASONS
from groundglass.series.package import InvalidPackageError, Member
from support import part10


def good(numbers=(1, 2, 3)) -> bytes:
    out = io.BytesIO()
    package.pack([Member(f"{part10.SERIES}.{n}", (part10.ct(n),)) for n in numbers], out)
    return out.getvalue()


def obj(more=None, **options) -> bytes:
    return part10.ct(1, more=more, **options)


def verdict(data: bytes) -> str:
    """Return the reason of the refusal, "" when the package is accepted."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            package.read_manifest(file.fileno())
        except InvalidPackageError as error:
            return error.reason
    return ""


def zipped(objects: list[tuple[str, bytes]], *, compression: int = zipfile.ZIP_STORED, **attributes) -> bytes:
    """A ZIP of these objects, in this order, by the standard library."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in objects:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = 0o100644 << 16
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return out.getvalue()


def slices(*numbers: int) -> list[tuple[str, bytes]]:
    return [(f"{rank:05d}.dcm", part10.ct(n)) for rank, n in enumerate(numbers, 1)]


def assembled(objects: list[bytes], *, crc: int | None = None) -> bytes:
    """A package in our form of any objects whatever."""
    out, entries = io.BytesIO(), []
    for rank, data in enumerate(objects, 1):
        checked = zlib.crc32(data) if crc is None else crc
        entries.append(zipformat.Entry(out.tell(), len(data), checked))
        out.write(zipformat.local_header(rank, length=len(data), crc=checked) + data)
    out.write(zipformat.directory(entries))
    return out.getvalue()


def test_the_good_one_is_accepted():
    assert verdict(good()) == ""
    assert zipped(slices(1, 2, 3)) == assembled([part10.ct(n) for n in (1, 2, 3)]) == good()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "truncated", id="nothing"),
        pytest.param(b"not a zip", "truncated", id="short-text"),
        pytest.param(b"MZ" + bytes(500), "local-header", id="another-format"),
        pytest.param(zipped([]), "truncated", id="empty-archive"),
        pytest.param(good() + b"\0", "directory", id="byte-after"),
        pytest.param(b"\0" + good(), "local-header", id="byte-before"),
        pytest.param(good()[:-1], "directory", id="byte-missing"),
        pytest.param(good()[:-100], "directory", id="directory-cut"),
        pytest.param(good()[:700], "truncated", id="object-cut"),
        pytest.param(zipped(slices(1, 3, 2)), "instance-order", id="order"),
        pytest.param(zipped([*slices(1), ("00002.dcm", part10.ct(1))]), "duplicate-instance", id="twice"),
        pytest.param(zipped([("00002.dcm", part10.ct(1))]), "local-header", id="rank"),
        pytest.param(zipped([("../01.dcm", part10.ct(1))]), "local-header", id="path"),
        pytest.param(zipped([("/0001.dcm", part10.ct(1))]), "local-header", id="absolute-path"),
        pytest.param(zipped([("C:\\1.dcm", part10.ct(1))]), "local-header", id="drive"),
        pytest.param(zipped([*slices(1), ("note.txt", b"hello")]), "local-header", id="extra-file"),
        pytest.param(zipped(slices(1), compression=zipfile.ZIP_DEFLATED), "local-header", id="deflated"),
        pytest.param(zipped([("00001.dcm", bytes(2**24))], compression=8), "local-header", id="bomb"),
        pytest.param(zipped(slices(1), date_time=(2020, 3, 16, 8, 0, 0)), "local-header", id="time"),
        pytest.param(zipped(slices(1), extra=b"\x75\x70\0\0"), "local-header", id="local-extra"),
        pytest.param(zipped(slices(1), comment=b"made by"), "directory", id="entry-comment"),
        pytest.param(zipped(slices(1), create_system=0), "directory", id="system"),
        pytest.param(zipped(slices(1), external_attr=0o120777 << 16), "directory", id="symlink"),
        pytest.param(zipped(slices(1), internal_attr=1), "directory", id="internal-attributes"),
        pytest.param(assembled([part10.ct(1)], crc=7), "crc", id="crc"),
        pytest.param(assembled([obj(), part10.ct(2, series="2.25.9", sop="2.25.9999")]), "mixed-series", id="series"),
        pytest.param(assembled([good()]), "preamble", id="nested"),
        pytest.param(assembled([b""]), "preamble", id="empty-object"),
    ],
)
def test_anything_else_is_refused(data: bytes, reason: str):
    assert verdict(data) == reason


def test_an_archive_comment_is_refused():
    data = bytearray(good())
    data[-2:] = b"\x05\0"
    assert verdict(bytes(data) + b"hello") == "directory"


def test_flags_of_encryption_and_descriptors_are_refused():
    for flag in (1, 8, 0x800):
        data = bytearray(good())
        data[6:8] = struct.pack("<H", flag)
        assert verdict(bytes(data)) == "local-header"


def test_a_directory_that_points_elsewhere_is_refused():
    """Two entries of the directory over one local header: the overlap of CVE-2024-0450."""
    data = good((1, 2))
    start = struct.unpack_from("<L", data, len(data) - 6)[0]
    offset = start + 2 * 46 + 9 - 4  # the second entry's local header
    assert struct.unpack_from("<L", data, offset)[0] > 0
    assert verdict(data[:offset] + bytes(4) + data[offset + 4 :]) == "directory"


def test_lengths_that_lie_are_refused_without_room_for_them():
    for length in (2**31 - 1, 2**31, 2**32 - 1):
        data = bytearray(good())
        data[18:26] = struct.pack("<LL", length, length)
        assert verdict(bytes(data)) in {"truncated", "local-header"}


def test_zip64_where_none_is_needed_is_refused():
    data = good()
    end = len(data) - 22
    count, size, start = struct.unpack_from("<HLL", data, end + 10)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    wide += struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    assert verdict(data[:end] + wide + data[end:]) == "directory"


def test_more_entries_than_ranks_are_refused():
    with pytest.raises(InvalidPackageError, match="too-many-instances"):
        zipformat.local_header(100_000, length=1, crc=0)


def test_the_zip64_form_is_that_of_zipfile(tmp_path):
    """Sparse entries of 1 GiB put the later offsets beyond 2^31 - 1, where ZIP64 begins."""
    sizes = [2**30, 2**30, 2**30, 1]
    crcs = [zlib.crc32(b"\0")]
    block = bytes(2**24)
    crc = 0
    for _ in range(2**30 // len(block)):
        crc = zlib.crc32(block, crc)
    crcs = [crc, crc, crc, zlib.crc32(b"\0")]
    offset, entries = 0, []
    for length, checked in zip(sizes, crcs, strict=True):
        entries.append(zipformat.Entry(offset, length, checked))
        offset += zipformat.LOCAL_BYTES + length
    path = tmp_path / "sparse.zip"
    with path.open("wb") as out:
        for rank, entry in enumerate(entries, 1):
            out.seek(entry.offset)
            out.write(zipformat.local_header(rank, length=entry.length, crc=entry.crc))
        out.seek(offset)
        out.write(zipformat.directory(entries))
    with zipfile.ZipFile(path) as archive:
        assert [info.header_offset for info in archive.infolist()] == [entry.offset for entry in entries]
        assert archive.read("00004.dcm") == b"\0"
    with path.open("r+b") as file, zipfile.ZipFile(file, "a") as archive:
        archive._didModify = True  # have the standard library write the directory again
    with path.open("rb") as file:
        file.seek(offset)
        assert file.read() == zipformat.directory(entries)


@settings(max_examples=300)
@given(st.data())
def test_every_changed_bit_is_found(data):
    whole = bytearray(good((1, 2)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    assert verdict(bytes(whole)) != ""


def test_every_cut_is_found():
    whole = good((1, 2))
    for at in random.Random(1).sample(range(len(whole)), 200):
        assert verdict(whole[:at]) != ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"P" + obj()[1:], "preamble", id="polyglot-preamble"),
        pytest.param(obj(sop="../../etc"), "uid", id="uid-path"),
        pytest.param(obj(sop="1." * 33), "uid", id="uid-long"),
        pytest.param(obj(sop="1..2"), "uid", id="uid-empty-component"),
        pytest.param(obj({0x00080018: ("UI", "2.25.5")}), "meta-disagrees", id="uid-differs"),
        pytest.param(obj({0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.7")}), "meta-disagrees", id="class-differs"),
        pytest.param(obj({0x7FE00010: ("OW", bytes(510))}), "pixel-length", id="pixels-short"),
        pytest.param(obj({0x7FE00010: ("OW", bytes(514))}), "pixel-length", id="pixels-long"),
        pytest.param(obj() + b"\0\0", "pixel-length", id="bytes-after-pixels"),
        pytest.param(obj({0x00280008: ("IS", "0")}), "frame-count", id="no-frame"),
        pytest.param(obj({0x00280008: ("IS", "999999999")}), "frame-count", id="many-frames"),
        pytest.param(obj({0x00280008: ("IS", "2")}), "pixel-length", id="another-frame"),
        pytest.param(obj().replace(b"LO\x06\0THORAX", b"ZZ\x06\0THORAX"), "element-vr", id="vr"),
        pytest.param(obj().replace(b"LO\x06\0THORAX", b"UN\x06\0THORAX"), "element-length", id="reserved"),
    ],
)
def test_an_object_that_is_not_ours_is_refused(data: bytes, reason: str):
    assert verdict(assembled([data])) == reason


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "2.25.1"])
def test_only_explicit_little_endian_and_what_is_encapsulated_in_it(syntax):
    data = part10.meta(f"{part10.SERIES}.1", syntax=syntax) + obj()[obj().index(b"\x08\0\x05\0CS") :]
    assert verdict(assembled([data])) == "transfer-syntax"


def test_tags_out_of_order_are_refused():
    first, second = part10.element(0x00080060, "CS", "CT"), part10.element(0x00080070, "LO", "EXAMPLE")
    assert first + second in obj()
    assert verdict(assembled([obj().replace(first + second, second + first)])) == "element-order"


@pytest.mark.parametrize(("depth", "reason"), [(10, ""), (20, "too-deep"), (5000, "too-deep")])
def test_depth_is_bounded(depth, reason):
    value = b""
    for _ in range(depth):
        sequence = part10.element(0x00081140, "SQ", value + part10.sequence_end(), length=0xFFFFFFFF)
        value = part10.item(sequence, undefined=True)
    nested = part10.element(0x00100002, "SQ", value + part10.sequence_end(), length=0xFFFFFFFF)
    before = part10.element(0x00100020, "LO", "GG-000001")
    assert verdict(assembled([obj().replace(before, nested + before)])) == reason


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_whatever_an_object_is_made_of_it_is_taken_or_refused(data):
    """With a CRC that fits, so that the walker sees the damage: no other exception, and headers of what is taken."""
    sequence = part10.item(part10.element(0x00080060, "CS", "CT")) + part10.sequence_end()
    more = {0x00081140: ("SQ", sequence[:-8]), 0x00280009: ("AT", b"\x18\0\x63\x10"), 0x00189074: ("DT", "2020")}
    whole = bytearray(part10.ct(1, more=more))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1 - 500))
        if data.draw(st.booleans()):
            whole[at] = data.draw(st.integers(0, 255))
        else:
            whole[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    with tempfile.TemporaryFile() as file:
        file.write(assembled([bytes(whole)]))
        file.flush()
        with contextlib.suppress(InvalidPackageError):
            manifest = package.read_manifest(file.fileno())
            found = json.loads(gzip.decompress(headers.headers_gz(file.fileno(), manifest)))
            assert len(found) == 1


def test_every_reason_is_explained():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "series-package.md").read_text(encoding="utf-8")
    assert {reason for reason in REASONS if f"`{reason}`" not in page} == set()
