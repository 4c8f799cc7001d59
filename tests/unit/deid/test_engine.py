"""The engine: what passes, what does not and with which code, in the smallest files that show it."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.deid import engine as engines
from groundglass.deid import reasons
from groundglass.deid.engine import Deidentified, NeedMore, Rejected
from groundglass.demo import phantom, variants
from groundglass.demo.elements import Element
from support import deid

GE = "GE MEDICAL SYSTEMS"


def _code(data: bytes, profile: str = "fidac-anonyme") -> tuple[str, str]:
    found = deid.judge(deid.engine(profile), data)
    assert isinstance(found, Rejected), found
    assert found.code in reasons.REASONS
    return found.code, found.grade


def _with(*new: tuple[int, str, object]) -> bytes:
    return deid.with_elements(deid.slice_(), *new).to_bytes()


@pytest.mark.parametrize(
    ("element", "code", "grade"),
    [
        ((0x00080008, "CS", "DERIVED\\PRIMARY\\AXIAL"), "burned_in_text", "review"),
        ((0x00080008, "CS", "ORIGINAL\\SECONDARY\\AXIAL"), "burned_in_text", "review"),
        ((0x00080008, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER"), "burned_in_text", "review"),
        ((0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL\\SCREEN SAVE"), "burned_in_text", "review"),
        ((0x00080008, "CS", None), "burned_in_text", "review"),
        ((0x00280301, "CS", "YES"), "burned_in_text", "review"),
        ((0x00080064, "CS", "WSD"), "burned_in_text", "review"),
        ((0x00280004, "CS", "MONOCHROME1"), "burned_in_text", "review"),
        ((0x0008103E, "LO", "Dose Report"), "burned_in_text", "review"),
        ((0x0008103E, "LO", "Rapport de dose"), "burned_in_text", "review"),
        ((0x00281051, "DS", "1"), "burned_in_text", "review"),
        ((0x60000102, "US", (12,)), "burned_in_text", "review"),
        ((0x00280010, "US", (8,)), "burned_in_text", "review"),
        ((0x00280008, "IS", "2"), "burned_in_text", "review"),
        ((0x00180015, "CS", "HEAD"), "face", "refuse"),
        ((0x00100020, "LO", "0000"), "placeholder_id", "review"),
        ((0x00100020, "LO", None), "placeholder_id", "review"),
        ((0x00080018, "UI", None), "bad_uid", "refuse"),
        ((0x00080018, "UI", "../1.2"), "bad_uid", "refuse"),
        ((0x0020000D, "UI", ""), "bad_uid", "refuse"),
        ((0x0020000E, "UI", None), "bad_uid", "refuse"),
        ((0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"), "sop_class_unknown", "refuse"),
        ((0x00080060, "CS", "MR"), "sop_class_unknown", "refuse"),
        ((0x00280100, "US", (8,)), "conformance", "review"),
        ((0x00280010, "US", None), "conformance", "review"),
        ((0x00200032, "DS", "here\\there\\0"), "conformance", "review"),
    ],
)
def test_what_is_held_back(element: tuple[int, str, object], code: str, grade: str) -> None:
    assert _code(_with(element)) == (code, grade)


def test_a_head_is_looked_at_in_research() -> None:
    assert _code(_with((0x00180015, "CS", "BRAIN")), "recherche-pseudonyme") == ("face", "review")


@pytest.mark.parametrize("text", ["ROUTINE CHEST LOW DOSE", "Thorax faible dose", "LD 1.25mm"])
def test_a_low_dose_chest_is_no_dose_screen(text: str) -> None:
    assert deid.clean(_with((0x0008103E, "LO", text), (0x00281051, "DS", "1500\\1")))


def test_no_is_not_believed_and_yes_is() -> None:
    screen = deid.with_elements(deid.slice_(), (0x00080008, "CS", "DERIVED\\SECONDARY"), (0x00280301, "CS", "NO"))
    assert _code(screen.to_bytes())[0] == "burned_in_text"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (variants.deflated, "unsupported_transfer_syntax"),
        (variants.big_endian, "unsupported_transfer_syntax"),
        (variants.unknown_syntax, "unsupported_transfer_syntax"),
        (variants.truncated, "truncated"),
        (variants.length_beyond_end, "truncated"),
        (variants.deep, "too_large"),
        (variants.without_meta, "unreadable"),
        (variants.huge_multiframe, "sop_class_unknown"),
        (lambda file: variants.written_as(file, "1.2.840.10008.1.2.4.102").to_bytes(), "unsupported_codec"),
        (lambda file: variants.overlay_in_pixels(file, "ABC").to_bytes(), "burned_in_text"),
        (lambda file: file.to_bytes()[: -len(file.pixels) - 12], "conformance"),
        (lambda file: file.to_bytes()[:-1], "truncated"),
    ],
)
def test_damaged_and_foreign_files(make, code: str) -> None:
    assert _code(make(deid.slice_(side=64)))[0] == code


def test_what_is_not_dicom() -> None:
    for name, data in variants.not_dicom():
        assert _code(data)[0] in ("not_dicom", "conformance"), name


def test_more_than_two_gibibytes_are_not_looked_at() -> None:
    assert deid.engine().deidentify(b"", 3 << 30) == Rejected("too_large", "refuse")


@pytest.mark.parametrize("head", [0, 1, 131, 200, 1000, 4000])
def test_it_asks_for_more_until_it_has_the_header(head: int) -> None:
    data = deid.slice_(side=64).to_bytes()
    assert deid.judge(deid.engine(), data, head) == deid.judge(deid.engine(), data)


def test_a_memoryview_and_a_bytearray_do() -> None:
    data = deid.slice_().to_bytes()
    expected = deid.engine().deidentify(data, len(data))
    assert isinstance(expected, Deidentified)
    for kind in (bytearray, memoryview):
        assert deid.engine().deidentify(kind(data), len(data)) == expected


def test_bytes_after_the_pixels_and_excess_pixels_are_cut() -> None:
    file = deid.slice_()
    expected = deid.clean(file.to_bytes())
    longer = dataclasses.replace(file, pixels=file.pixels + b"DUPONT", tail=b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0tail")
    assert deid.clean(longer.to_bytes()) == expected


def test_unsorted_and_repeated_elements_come_out_once_and_in_order() -> None:
    file = deid.slice_()
    expected = deid.clean(file.to_bytes())
    backwards = tuple(reversed(file.elements))
    wrong = tuple(Element(e.tag, "DS", "77") for e in file.elements if e.tag == 0x00180060)
    assert deid.clean(dataclasses.replace(file, elements=backwards).to_bytes()) == expected
    assert deid.clean(dataclasses.replace(file, elements=(*wrong, *file.elements)).to_bytes()) == expected


def test_order_and_company_do_not_matter() -> None:
    files = [f for seed in (1, 2) for f in phantom.series(seed, slices=4, rows=8, columns=8)]
    alone = {f: deid.clean(f) for f in files}
    shared = deid.engine()
    random.Random(3).shuffle(files)
    assert all(deid.clean(f, shared) == alone[f] for f in files)


def test_one_key_is_byte_identical_and_two_have_no_identifier_in_common() -> None:
    data = deid.slice_().to_bytes()
    one, again, other = (deid.judge(deid.engine(master=key), data) for key in (deid.MASTER, deid.MASTER, bytes(32)))
    assert one == again
    assert isinstance(one, Deidentified)
    assert isinstance(other, Deidentified)
    names = ("patient_id", "study_instance_uid", "series_instance_uid", "sop_instance_uid")
    assert not {getattr(one, n) for n in names} & {getattr(other, n) for n in names}


def test_twice_is_clean_twice() -> None:
    once = deid.clean(deid.slice_().to_bytes())
    twice = deid.clean(once)
    assert deid.dataset(twice).PixelData == deid.dataset(once).PixelData
    assert deid.dataset(twice).PatientID != deid.dataset(once).PatientID


def test_strangers_do_not_share_a_context() -> None:
    shared, file = deid.engine(), deid.slice_()
    ids = set()
    for number in range(200):  # more than are remembered
        other = deid.with_elements(file, (0x00100020, "LO", f"IPP{number}"))
        ids.add(deid.dataset(deid.clean(other.to_bytes(), shared)).PatientID)
    assert len(ids) == 200
    assert len(shared._contexts) <= engines._MOST_CONTEXTS


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_judged(data: bytes) -> None:
    found = deid.engine().deidentify(data, len(data))
    assert isinstance(found, Rejected | NeedMore)
    marked = bytes(128) + b"DICM" + data
    assert not isinstance(deid.engine().deidentify(marked, len(marked)), Deidentified)
