"""The phantom: the same people every time, readable by everyone, a chest in HU with the lesions that it says."""

from __future__ import annotations

import array
import io
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pydicom
import pytest

from groundglass.demo import anatomy, headers, phantom
from groundglass.demo.makers import MAKERS

SMALL = {"slices": 12, "rows": 64, "columns": 64}
DCIODVFY = Path(sys.executable).with_name("dciodvfy")


def read(content: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(content))


def stored_values(data_set: pydicom.Dataset) -> array.array[int]:
    values = array.array("h" if data_set.PixelRepresentation else "H", data_set.PixelData)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_people_and_uids() -> None:
    first, again, other = (list(phantom.series(seed, **SMALL)) for seed in (5, 5, 9))
    assert first == again
    one, two = read(first[0]), read(other[0])
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "AccessionNumber"):
        assert one[keyword].value != two[keyword].value


def test_a_series_can_belong_to_the_patient_or_the_study_of_another() -> None:
    one = read(next(phantom.series(1, **SMALL)))
    follow_up = read(next(phantom.series(2, **SMALL, patient=1)))
    second_series = read(next(phantom.series(3, **SMALL, patient=1, study=1)))
    assert one.PatientID == follow_up.PatientID == second_series.PatientID
    assert one.StudyInstanceUID == second_series.StudyInstanceUID != follow_up.StudyInstanceUID
    assert len({one.SeriesInstanceUID, follow_up.SeriesInstanceUID, second_series.SeriesInstanceUID}) == 3


@pytest.mark.parametrize("maker", list(MAKERS))
def test_pydicom_reads_every_maker_without_a_warning(maker: str) -> None:
    data_set = read(next(phantom.series(1, **SMALL, maker=maker)))
    assert 120 <= sum(1 for _ in data_set.iterall()) <= 230
    assert str(data_set)
    assert data_set.file_meta.TransferSyntaxUID == MAKERS[maker].syntax
    assert len(data_set.PixelData) == 64 * 64 * 2
    assert sum(element.tag.is_private_creator for element in data_set) >= 1
    assert data_set.Manufacturer == MAKERS[maker].manufacturer


@pytest.mark.parametrize("maker", list(MAKERS))
def test_dciodvfy_finds_no_error(maker: str, tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    # In ISO_IR 100 the phantom's œ is the error that real hospitals make; in ISO_IR 192 there is none.
    path.write_bytes(next(phantom.objects(1, **SMALL, maker=maker, charset="ISO_IR 192")).to_bytes())
    done = subprocess.run([DCIODVFY, "-new", path], capture_output=True, timeout=60, check=False)
    report = (done.stdout + done.stderr).decode("latin-1")
    assert "CTImage" in report
    assert [line for line in report.splitlines() if line.startswith("Error")] == []


def test_slices_are_distinct_and_stand_one_step_apart_from_the_apices_down() -> None:
    slices = [read(content) for content in phantom.series(4, **SMALL)]
    assert len({data_set.PixelData for data_set in slices}) == 12
    assert len({data_set.SOPInstanceUID for data_set in slices}) == 12
    heights = [float(data_set.ImagePositionPatient[2]) for data_set in slices]
    steps = [above - below for above, below in pairwise(heights)]
    assert steps == pytest.approx([float(slices[0].SpacingBetweenSlices)] * 11, abs=2e-4)
    assert [data_set.InstanceNumber for data_set in slices] == list(range(1, 13))
    # The field of view is centred: the last pixel's centre mirrors the first's.
    spacing, left = float(slices[0].PixelSpacing[0]), float(slices[0].ImagePositionPatient[0])
    assert left + 63 * spacing == pytest.approx(-left)


@pytest.mark.parametrize("maker", list(MAKERS))
def test_hounsfield_units_are_those_of_air_lung_and_soft_tissue_for_every_maker(maker: str) -> None:
    exam = headers.exam(7, slices=10, rows=128, columns=128, maker=maker)
    file = headers.ct(exam, 4, phantom.pixels(exam, 7, 4))
    data_set = read(file.to_bytes())
    values = [value + int(data_set.RescaleIntercept) for value in stored_values(data_set)]
    tissue_of = list(anatomy.TISSUES)
    by_tissue: dict[str, list[int]] = {}
    for value, label in zip(values, phantom.labels(exam, 7, 4), strict=True):
        by_tissue.setdefault(tissue_of[label], []).append(value)
    for tissue, expected in {"lung": -850, "muscle": 40, "blood": 45, "bone": 700}.items():
        assert mean(by_tissue[tissue]) == pytest.approx(expected, abs=12)
    middle_of_air = sorted(by_tissue["air"])[len(by_tissue["air"]) // 3]
    assert middle_of_air <= -990


def test_lungs_grow_from_the_apices_and_shrink_above_the_diaphragm() -> None:
    exam = headers.exam(2, slices=20, rows=128, columns=128)
    lung = [phantom.truth(exam, 2, index).lung for index in range(20)]
    assert lung[0] == 0
    assert lung[2] < lung[5] < max(lung)
    assert lung[-1] < max(lung) / 20
    assert 6 <= lung.index(max(lung)) <= 13


def test_ground_glass_is_there_for_the_ill_and_absent_for_the_healthy() -> None:
    exam = headers.exam(2, slices=20, rows=128, columns=128)
    assert sum(phantom.truth(exam, 2, index).ground_glass for index in range(20)) > 200
    healthy = anatomy.chest(2, ill=False)
    assert healthy.lesions == ()
    assert not [shape for shape in healthy.shapes(0.5) if shape.tissue in ("glass", "dense")]


def test_the_command_writes_numbered_folders(tmp_path: Path) -> None:
    phantom.main([str(tmp_path), "--slices", "3", "--series", "2", "--seed", "1", "--rows", "32"])
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.dcm"))
    assert names == [f"{series:04}/{index:04}.dcm" for series in (1, 2) for index in (1, 2, 3)]
    assert read((tmp_path / "0002" / "0003.dcm").read_bytes()).InstanceNumber == 3
