"""pack, merge and read_manifest agree with each other, with `zipfile` and with `unzip`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.series import package
from groundglass.series.manifest import Manifest
from groundglass.series.package import FileSpan, InvalidPackageError, Member, UidConflictError
from support import part10


def members(numbers, **options) -> list[Member]:
    return [Member(f"{part10.SERIES}.{n}", (part10.ct(n, **options),)) for n in numbers]


def packed(numbers, **options) -> tuple[bytes, Manifest]:
    out = io.BytesIO()
    manifest = package.pack(members(numbers, **options), out)
    return out.getvalue(), manifest


@contextlib.contextmanager
def opened(*packages: bytes) -> Iterator[list[tuple[int, Manifest]]]:
    """Packages as open files with their manifests."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in packages]
        for file, data in zip(files, packages, strict=True):
            file.write(data)
            file.flush()
        yield [(file.fileno(), package.read_manifest(file.fileno())) for file in files]


def by_zipfile(objects: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for rank, sop in enumerate(sorted(objects), 1):
            info = zipfile.ZipInfo(f"{rank:05d}.dcm", (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, objects[sop])
    return out.getvalue()


def test_the_bytes_are_those_of_zipfile():
    data, _ = packed(range(1, 13))
    assert data == by_zipfile({f"{part10.SERIES}.{n}": part10.ct(n) for n in range(1, 13)})


def test_the_hash_is_of_the_bytes_and_stays_as_it_is():
    """A golden vector: other bytes here mean that every key of every store would change."""
    data, manifest = packed(range(1, 4))
    assert manifest.sha256 == hashlib.sha256(data).hexdigest()
    assert manifest.size == len(data)
    assert manifest.sha256 == "19b45bc4a48eb57ebbcdd030ad5dd6b8924c2aacda6b78140d93579547f12441"


def test_entries_stand_in_the_order_of_their_uids():
    data, manifest = packed([10, 9, 2, 1])
    assert [each.sop_instance_uid for each in manifest.instances] == [f"{part10.SERIES}.{n}" for n in (1, 10, 2, 9)]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["00001.dcm", "00002.dcm", "00003.dcm", "00004.dcm"]
        assert archive.read("00002.dcm") == part10.ct(10)


def test_the_manifest_says_where_every_object_and_frame_is():
    data, manifest = packed([1])
    (instance,) = manifest.instances
    raw = data[instance.offset : instance.offset + instance.length]
    assert raw == part10.ct(1)
    assert instance.sha256 == hashlib.sha256(raw).hexdigest()
    assert raw[instance.header :][:4] == b"\xe0\x7f\x10\x00"
    ((offset, length),) = instance.frames
    assert data[offset : offset + length] == raw[-512:]
    assert (instance.rows, instance.columns, instance.instance_number) == (16, 16, 1)
    assert instance.position == (-120.5, -110.0, -298.75)


def test_the_manifest_survives_json():
    _, manifest = packed([3, 1])
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert Manifest.from_json(manifest.to_json()).to_json() == manifest.to_json()


def test_what_pack_wrote_is_read_back_as_the_same_manifest():
    data, manifest = packed(range(1, 8))
    with opened(data) as [(_, found)]:
        assert found == manifest


def test_objects_may_lie_in_pieces_of_files(tmp_path: Path):
    whole = part10.ct(1, size=64)
    (tmp_path / "spool").write_bytes(b"before" + whole + b"after")
    fd = os.open(tmp_path / "spool", os.O_RDONLY)
    out = io.BytesIO()
    parts = (whole[:200], FileSpan(fd, 6 + 200, 1000), whole[1200:1300], FileSpan(fd, 6 + 1300, len(whole) - 1300))
    manifest = package.pack([Member(f"{part10.SERIES}.1", parts)], out)
    os.close(fd)
    assert manifest == packed([1], size=64)[1]


def test_a_span_beyond_the_end_of_its_file_is_refused(tmp_path: Path):
    whole = part10.ct(1)
    (tmp_path / "short").write_bytes(whole[:-1])
    with (tmp_path / "short").open("rb") as file, pytest.raises(InvalidPackageError, match="truncated"):
        package.pack([Member(f"{part10.SERIES}.1", (FileSpan(file.fileno(), 0, len(whole)),))], io.BytesIO())


def test_an_object_larger_than_the_buffer_gives_the_same_bytes(monkeypatch):
    expected, manifest = packed([1, 2], size=64)
    monkeypatch.setattr(package, "BUFFER_BYTES", 1000)
    assert packed([1, 2], size=64) == (expected, manifest)
    with opened(expected) as [(_, found)]:
        assert found == manifest


def test_short_writes_are_continued():
    class Slow(io.BytesIO):
        def write(self, data) -> int:
            return super().write(bytes(data[:100]))

    out = Slow()
    package.pack(members([1, 2]), out)
    assert out.getvalue() == packed([1, 2])[0]


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_finds_nothing_wrong(tmp_path: Path):
    (tmp_path / "series.zip").write_bytes(packed(range(1, 6))[0])
    subprocess.run(["unzip", "-tq", str(tmp_path / "series.zip")], check=True, capture_output=True)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12, unique=True), st.randoms())
def test_the_order_given_does_not_matter(numbers, random):
    shuffled = numbers.copy()
    random.shuffle(shuffled)
    assert packed(shuffled) == packed(numbers)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 2)), min_size=2, max_size=12, unique_by=lambda t: t[0]))
def test_merging_parts_equals_packing_all_at_once(assigned):
    parts = [[n for n, part in assigned if part == wanted] for wanted in range(3)]
    parts = [part for part in parts if part]
    current = packed(parts[0])[0]
    for part in parts[1:]:
        out = io.BytesIO()
        with opened(current, packed(part)[0]) as (first, second):
            package.merge(first, second, out)
        current = out.getvalue()
    assert current == packed([n for n, _ in assigned])[0]


def test_what_is_in_both_counts_once():
    out = io.BytesIO()
    with opened(packed([1, 2, 3])[0], packed([2, 3, 4])[0]) as (current, part):
        assert [each.sop_instance_uid for each in package.new_in(current[1], part[1])] == [f"{part10.SERIES}.4"]
        package.merge(current, part, out)
    assert out.getvalue() == packed([1, 2, 3, 4])[0]


def test_one_uid_with_other_bytes_is_a_conflict():
    with opened(packed([1, 2])[0], packed([2, 3], seed=1)[0]) as (current, part), pytest.raises(UidConflictError):
        package.merge(current, part, io.BytesIO())


def test_parts_of_another_series_are_not_merged():
    other = packed([2], study="2.25.77")[0]
    with opened(packed([1])[0], other) as (current, part), pytest.raises(InvalidPackageError, match="other-series"):
        package.merge(current, part, io.BytesIO())


def test_a_changed_byte_in_the_store_is_not_merged_into_the_next_version():
    data, manifest = packed([1, 2])
    (offset, _), *_ = manifest.instances[0].frames
    rotten = data[: offset + 5] + bytes([data[offset + 5] ^ 1]) + data[offset + 6 :]
    with tempfile.TemporaryFile() as stored, opened(packed([3])[0]) as [part]:
        stored.write(rotten)
        stored.flush()
        with pytest.raises(InvalidPackageError, match="changed-bytes"):
            package.merge((stored.fileno(), manifest), part, io.BytesIO())


def test_two_members_of_one_uid_are_refused():
    with pytest.raises(InvalidPackageError, match="duplicate-instance"):
        package.pack(members([1]) + members([1]), io.BytesIO())


def test_a_member_that_is_not_what_it_says_is_refused():
    with pytest.raises(InvalidPackageError, match="other-instance"):
        package.pack([Member(f"{part10.SERIES}.2", (part10.ct(1),))], io.BytesIO())


def test_a_package_holds_one_series():
    other = part10.ct(2, series="2.25.9", sop=f"{part10.SERIES}.2")
    with pytest.raises(InvalidPackageError, match="mixed-series"):
        package.pack([*members([1]), Member(f"{part10.SERIES}.2", (other,))], io.BytesIO())


def test_no_objects_make_no_package():
    with pytest.raises(InvalidPackageError, match="empty"):
        package.pack([], io.BytesIO())
