"""`groundglass deidentify`: an identity planted in every place of a file is in no output, and pixels are untouched."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pydicom
import pytest

from groundglass.demo import identities, phantom, planting, variants
from groundglass.demo.makers import MAKERS
from support.identities import residues
from support.stack import COMMAND

EVERY_PLACE = (*planting.PLACES_IN_DATA_SET, *planting.PLACES_AROUND_IT)
KEY = "0f" * 32


def deidentify(source: Path, out: Path, *, key: Path | None) -> tuple[int, dict, str]:
    """Return exit code, report and everything printed."""
    report = out.with_suffix(".json")
    keyed = ["--key", key] if key else []
    arguments = ["--out", out, "--report", report, "--collection", "spec", "--centre", "LOCAL", *keyed]
    done = subprocess.run(
        [COMMAND, "deidentify", source, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, json.loads(report.read_text()), done.stdout + done.stderr


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87", ""])
@pytest.mark.parametrize("maker", list(MAKERS))
def test_nothing_planted_in_any_place_comes_out(tmp_path: Path, key: Path, maker: str, charset: str) -> None:
    source, someone = tmp_path / "in", identities.person(400)
    source.mkdir()
    files = phantom.objects(400, slices=len(EVERY_PLACE), rows=32, columns=32, maker=maker, charset=charset)
    pixels = set()
    for file, place in zip(files, EVERY_PLACE, strict=True):
        (source / f"{place}.dcm").write_bytes(planting.plant(file, someone, places=[place]).to_bytes())
        pixels.add(file.pixels)
    _, report, printed = deidentify(source, tmp_path / "out", key=key)
    assert report["counts"]["written"] > 0.8 * len(EVERY_PLACE), report["counts"]
    secrets = planting.secrets(someone)
    assert residues(source, secrets)
    assert residues([tmp_path / "out", tmp_path / "out.json", printed.encode()], secrets) == []
    for path in (tmp_path / "out").rglob("*.dcm"):
        assert pydicom.dcmread(path).PixelData in pixels


def test_the_same_key_gives_the_same_bytes_and_another_key_nothing_in_common(tmp_path: Path, key: Path) -> None:
    phantom.write(tmp_path / "in", series_count=2, slices=4, seed=410, rows=32)
    for name in ("one", "again"):
        deidentify(tmp_path / "in", tmp_path / name, key=key)
    deidentify(tmp_path / "in", tmp_path / "other", key=None)
    one, again, other = (contents(tmp_path / name) for name in ("one", "again", "other"))
    assert len(one) == 8
    assert one == again
    assert not {part for path in one for part in Path(path).parts} & {
        part for path in other for part in Path(path).parts
    }


def test_what_is_not_dicom_is_ignored_and_what_is_damaged_is_held_back(tmp_path: Path, key: Path) -> None:
    source = tmp_path / "in"
    phantom.write(source, series_count=1, slices=3, seed=420, rows=32)
    for name, content in variants.not_dicom():
        (source / name).write_bytes(content)
    (file,) = phantom.objects(421, slices=1, rows=32, columns=32)
    damaged = {
        "cut": variants.truncated(file),
        "cut-header": variants.truncated(file, share=0.1),
        "huge": variants.huge_multiframe(file),
        "beyond": variants.length_beyond_end(file),
        "deep": variants.deep(file),
        "syntax": variants.unknown_syntax(file),
        "path": variants.with_uid(file, "../../../etc/passwd").to_bytes(),
        "capture": variants.secondary_capture(file).to_bytes(),
        "dose": variants.dose_screen(file).to_bytes(),
        "localizer": variants.localizer(file).to_bytes(),
    }
    for name, content in damaged.items():
        (source / f"{name}.dcm").write_bytes(content)
    code, report, _ = deidentify(source, tmp_path / "out", key=key)
    assert code == 3
    counts = report["counts"]
    assert counts["written"] == 3, [file for file in report["files"] if file["output"]]
    assert counts["quarantined"] + counts["refused"] + counts["written"] == counts["read"]
    assert counts["quarantined"] + counts["refused"] >= len(damaged)
    assert all(file["code"] == file["code"].lower() for file in report["files"] if file["code"])
    assert len(contents(tmp_path / "out")) == 3
