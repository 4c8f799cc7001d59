"""DCMTK's storescu and echoscu as senders, with real chest CTs."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from support.door import content, open_door, records
from support.shared import data

ECHOSCU, STORESCU = Path("/usr/bin/echoscu"), Path("/usr/bin/storescu")
SERIES = ("siemens_A0002_B40f_30",)


def dcmtk(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Debian's program by its full name: pynetdicom installs others of the same names."""
    if not program.exists():
        pytest.skip(f"NOT TESTED WITH DCMTK: {program} is not installed (Debian package dcmtk)")
    command = [str(part) for part in (program, *arguments)]
    environment = {**os.environ, "TCP_NODELAY": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def chest() -> list[Path]:
    return sorted(data("ct", "lung_pet_ct_dx", *SERIES).glob("*.dcm"))


def test_echo(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        assert dcmtk(ECHOSCU, "-aec", "GROUNDGLASS", "127.0.0.1", door.port).returncode == 0
        refused = dcmtk(ECHOSCU, "-aec", "OTHER", "127.0.0.1", door.port)
    assert refused.returncode != 0
    assert "Called AE Title Not Recognized" in refused.stderr


def test_an_unlisted_caller_is_told_so(tmp_path: Path) -> None:
    with open_door(tmp_path, allowed_aets=["CT_1"]) as door:
        refused = dcmtk(ECHOSCU, "-aet", "CT_2", "-aec", "GROUNDGLASS", "127.0.0.1", door.port)
        assert dcmtk(ECHOSCU, "-aet", "CT_1", "-aec", "GROUNDGLASS", "127.0.0.1", door.port).returncode == 0
    assert "Calling AE Title Not Recognized" in refused.stderr


@pytest.mark.parametrize(
    ("option", "syntax"),
    [
        ("-xe", "1.2.840.10008.1.2.1"),
        ("-xi", "1.2.840.10008.1.2"),
        ("-xd", "1.2.840.10008.1.2.1.99"),
    ],
    ids=["explicit", "implicit", "deflated"],
)
def test_a_series_arrives_in_the_encoding_proposed_first_with_its_pixels(
    tmp_path: Path, option: str, syntax: str
) -> None:
    files = chest()
    with open_door(tmp_path) as door:
        sent = dcmtk(STORESCU, "-R", "-aet", "DCMTK", "-aec", "GROUNDGLASS", option, "127.0.0.1", door.port, *files)
        assert sent.returncode == 0, sent.stderr
    kept = records(tmp_path)
    assert len(kept) == len(files)
    assert len({record.series_token for record in kept}) == 1
    received = {each.SOPInstanceUID: each for each in (dcmread(io.BytesIO(content(tmp_path, r))) for r in kept)}
    for path in files:
        original = dcmread(path)
        ours = received[original.SOPInstanceUID]
        assert ours.file_meta.TransferSyntaxUID == syntax
        assert (ours.pixel_array == original.pixel_array).all()


@pytest.mark.parametrize("pdu", [4096, 16384, 131072])
def test_every_size_of_pdu_gives_the_same_bytes(tmp_path: Path, pdu: int) -> None:
    files = chest()[:5]
    with open_door(tmp_path) as door:
        sent = dcmtk(STORESCU, "-R", "--max-send-pdu", pdu, "-aec", "GROUNDGLASS", "127.0.0.1", door.port, *files)
        assert sent.returncode == 0, sent.stderr
    for record, path in zip(records(tmp_path), files, strict=True):
        ours, original = dcmread(io.BytesIO(content(tmp_path, record))), dcmread(path)
        assert ours.PixelData == original.PixelData
        assert [e.tag for e in ours] == [e.tag for e in original]
