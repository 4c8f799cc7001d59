"""A series package is one file that anybody can open, check and read a frame of, without our software.

Everything here uses the standard library and pydicom only; `pack` is the one thing of ours.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pydicom
import pytest

from groundglass.series import headers
from groundglass.series.manifest import Manifest
from groundglass.series.package import Member, merge, pack, read_manifest
from support import part10

NUMBERS = (1, 2, 3, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the store keeps it: package, manifest, headers."""
    folder = tmp_path_factory.mktemp("packages")
    members = [Member(f"{part10.SERIES}.{n}", (part10.ct(n),)) for n in NUMBERS]
    with (folder / "series.zip").open("w+b") as out:
        manifest = pack(members, out)
        out.flush()
        (folder / "series.headers.json.gz").write_bytes(headers.headers_gz(out.fileno(), manifest))
    (folder / "series.json").write_bytes(manifest.to_json())
    return folder


def test_it_opens_as_a_zip_of_dicom_files(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(folder / "series.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["00001.dcm", "00002.dcm", "00003.dcm", "00004.dcm"]
    assert [pydicom.dcmread(path).InstanceNumber for path in files] == [1, 10, 2, 3]  # sorted by SOP Instance UID


@pytest.mark.skipif(shutil.which("unzip") is None, reason="NOT TESTED: unzip is not installed")
def test_unzip_agrees(folder: Path) -> None:
    subprocess.run(["unzip", "-tqq", str(folder / "series.zip")], check=True)


def test_its_name_is_the_hash_of_its_bytes(folder: Path) -> None:
    manifest = json.loads((folder / "series.json").read_bytes())
    with (folder / "series.zip").open("rb") as file:
        assert manifest["sha256"] == hashlib.file_digest(file, "sha256").hexdigest()


def test_a_frame_is_a_range_of_bytes(folder: Path) -> None:
    manifest = json.loads((folder / "series.json").read_bytes())
    package = (folder / "series.zip").read_bytes()
    for instance in manifest["instances"]:
        file = package[instance["offset"] : instance["offset"] + instance["length"]]
        assert hashlib.sha256(file).hexdigest() == instance["sha256"]
        ((offset, length),) = instance["frames"]
        assert package[offset : offset + length] == pydicom.dcmread(io.BytesIO(file)).PixelData


def test_the_manifest_can_be_made_again_from_the_package_alone(folder: Path) -> None:
    with (folder / "series.zip").open("rb") as file:
        assert read_manifest(file.fileno()).to_json() == (folder / "series.json").read_bytes()


def test_the_headers_are_those_of_the_files(folder: Path) -> None:
    found = json.loads(subprocess.run(["gzip", "-dc", str(folder / "series.headers.json.gz")], check=True,
                                      capture_output=True).stdout)  # fmt: skip
    with zipfile.ZipFile(folder / "series.zip") as archive:
        for name, header in zip(archive.namelist(), found, strict=True):
            data_set = pydicom.dcmread(io.BytesIO(archive.read(name)), stop_before_pixels=True)
            assert pydicom.Dataset.from_json(header) == data_set


def test_late_instances_make_a_new_file_as_if_they_had_been_there(folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "first").open("w+b") as first, (tmp_path / "late").open("w+b") as late:
        parts: list[tuple[int, Manifest]] = []
        for out, numbers in ((first, (1, 10)), (late, (2, 3, 10))):
            manifest = pack([Member(f"{part10.SERIES}.{n}", (part10.ct(n),)) for n in numbers], out)
            out.flush()
            parts.append((out.fileno(), manifest))
        whole = io.BytesIO()
        merge(parts[0], parts[1], whole)
    assert whole.getvalue() == (folder / "series.zip").read_bytes()
