"""DICOM JSON of our own walker says what pydicom's says, on real CT and on made-up data sets."""

from __future__ import annotations

import gzip
import io
import json
import math
import tempfile
from datetime import date
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from groundglass.series import headers, package
from groundglass.series.package import Member
from support import part10, shared

_PIXELS = "7FE00010"


def part10_of(dataset: Dataset) -> bytes:
    """Return the data set as an object with our meta information."""
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = False, True
    write_dataset(out, dataset)
    return part10.meta(str(dataset.SOPInstanceUID)) + out.getvalue()


def comparable(value: Any) -> Any:
    """Reduce what two writers may put differently without saying something else."""
    if isinstance(value, dict):
        found = {key: comparable(each) for key, each in value.items()}
        if found.get("Value") in ([], [None], [{}]) or found.get("InlineBinary") == "":
            found.pop("Value", None)
            found.pop("InlineBinary", None)
        return found
    if isinstance(value, list):
        return [None if each == "" else comparable(each) for each in value]
    if isinstance(value, str):
        return value.rstrip(" \0")
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def agree(dataset: Dataset) -> None:
    ours = headers.dicom_json(part10_of(dataset))
    theirs = {key: value for key, value in dataset.to_json_dict().items() if key != _PIXELS and key[4:] != "0000"}
    assert comparable(ours) == comparable(theirs)


@pytest.mark.parametrize(
    "path",
    [
        "covid_ny_sbu/A046441_19001111-045.dcm",
        "covid_ny_sbu/A048383_19001231-30.dcm",
        "covid_ny_sbu/A062055_19001127-136.dcm",
        "lung_pet_ct_dx/philips_A0001_kernelB_64/1-01.dcm",
        "lung_pet_ct_dx/siemens_A0002_B40f_30/1-01.dcm",
    ],
)
def test_real_headers(path: str):
    agree(pydicom.dcmread(shared.data("ct", *path.split("/"))))


_letters = st.text(st.characters(codec="latin-1", categories=("L", "N", "P"), exclude_characters="\\=^"), max_size=12)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "ImageType": st.lists(st.sampled_from(["ORIGINAL", "PRIMARY", "AXIAL", ""]), max_size=4),
        "SeriesDescription": _letters,
        "PatientName": st.tuples(_letters, _letters).map("^".join),
        "PatientComments": _letters,
        "SliceThickness": st.floats(0.1, 10).map(lambda value: f"{value:.4g}"),
        "ImagePositionPatient": st.lists(st.integers(-999, 999), min_size=3, max_size=3),
        "InstanceNumber": st.integers(-(2**31), 2**31 - 1),
        "Rows": st.integers(0, 2**16 - 1),
        "FrameIncrementPointer": st.sampled_from([0x00181063, 0x00540010]),
        "RealWorldValueSlope": st.floats(allow_nan=False, allow_infinity=False),
        "RecommendedDisplayFrameRateInFloat": st.floats(width=32, allow_nan=False, allow_infinity=False),
        "PixelPaddingValue": st.integers(0, 2**16 - 1),
        "RedPaletteColorLookupTableData": st.binary(max_size=64).map(lambda value: value + bytes(len(value) % 2)),
        "StudyDate": st.dates(min_value=date(1900, 1, 1)).map(lambda day: day.strftime("%Y%m%d")),
    },
)


def fill(dataset: Dataset, fields) -> Dataset:
    for keyword, value in fields.items():
        if keyword == "PixelPaddingValue":
            dataset.add_new(0x00280120, "US", value)  # US or SS by the standard: pydicom would guess
        else:
            setattr(dataset, keyword, value)
    return dataset


@settings(max_examples=200, deadline=None)
@given(_fields, st.lists(_fields, max_size=3), st.sampled_from(["ISO_IR 100", "ISO_IR 192"]))
def test_made_up_headers(fields, items, charset):
    dataset = Dataset()
    dataset.SpecificCharacterSet = charset
    dataset.SOPInstanceUID = "2.25.1"
    fill(dataset, fields)
    if items:
        dataset.ReferencedImageSequence = [item_of(each) for each in items]
    agree(pydicom.dcmread(io.BytesIO(part10_of(dataset))))


def item_of(fields) -> Dataset:
    return fill(Dataset(), fields)


def made_up(tag: int, vr: str, value: bytes | str, charset: str = "ISO_IR 192") -> Any:
    data = part10.ct(1, more={0x00080005: ("CS", charset), tag: (vr, value)})
    return headers.dicom_json(data)[f"{tag:08X}"]


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DS", "1.25\\+1.50\\.5\\1E+3\\", [1.25, 1.5, 0.5, 1000.0, None]),
        ("DS", "about", ["about"]),
        ("IS", "007\\-3", [7, -3]),
        ("FD", b"\0\0\0\0\0\0\xf0\x7f", ["inf"]),
        ("FD", b"\0\0\0\0\0\0\xf8\x7f", ["NaN"]),
        ("AT", b"\x20\0\x0d\0", ["0020000D"]),
        ("AT", b"\x20\0\x0d\0\x20\0", ["0020000D"]),
        ("IS", "1" * 5000, ["1" * 5000]),
        ("PN", "Roentgen^Wilhelm=ideo=phon\\\\X", [
            {"Alphabetic": "Roentgen^Wilhelm", "Ideographic": "ideo", "Phonetic": "phon"}, None, {"Alphabetic": "X"}]),
        ("LT", "one\\value", ["one\\value"]),
        ("UC", "two\\values", ["two", "values"]),
        ("SV", b"\xff" * 8, [-1]),
        ("CS", "", None),
    ],
)  # fmt: skip
def test_each_kind_of_value(vr, value, expected):
    found = made_up(0x00091001, vr, value)
    assert found == ({"vr": vr} if expected is None else {"vr": vr, "Value": expected})


def test_binary_values_stand_inline():
    assert made_up(0x00091001, "OB", b"\1\2") == {"vr": "OB", "InlineBinary": "AQI="}


@pytest.mark.parametrize(
    ("charset", "value", "expected"),
    [
        ("ISO_IR 100", "Été".encode("latin-1"), "Été"),
        ("ISO_IR 192", "Été".encode(), "Été"),
        ("ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
        ("GB18030", "王小东".encode("gb18030"), "王小东"),
        ("\\ISO 2022 IR 87", b"Yamada \x1b$B;3ED\x1b(B.", "Yamada 山田."),
        ("\\ISO 2022 IR 149", b"Hong \x1b$)C\xfb\xf3.", "Hong 洪."),
        ("ISO_IR 999", b"plain\xff", "plain\ufffd"),
    ],
)
def test_text_is_read_in_its_character_set(charset, value, expected):
    assert made_up(0x0008103E, "LO", value, charset)["Value"] == [expected]


def test_the_headers_of_a_package_are_the_array_of_each():
    with tempfile.TemporaryFile() as file:
        manifest = package.pack([Member(f"{part10.SERIES}.{n}", (part10.ct(n),)) for n in (1, 2, 3)], file)
        file.flush()
        packed = headers.headers_gz(file.fileno(), manifest)
        assert packed == headers.headers_gz(file.fileno(), manifest)
    assert json.loads(gzip.decompress(packed)) == [headers.dicom_json(part10.ct(n)) for n in (1, 2, 3)]
    assert packed[4:8] == bytes(4)  # RFC 1952 MTIME


def test_pixels_and_group_lengths_are_left_out():
    found = headers.dicom_json(part10.ct(1, more={0x00280000: ("UL", b"\0\0\0\0")}))
    assert _PIXELS not in found
    assert "00280000" not in found
    assert "00020010" not in found
