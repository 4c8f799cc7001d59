"""The verifier finds what a leaking de-identifier would leave, and shares nothing with ours."""

from __future__ import annotations

import ast
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian

from groundglass.deid import verify
from groundglass.deid.engine import Deidentified
from support import deid

Change = Callable[[pydicom.Dataset], object]


@pytest.fixture(scope="module")
def good() -> bytes:
    return deid.clean(deid.slice_().to_bytes())


def _changed(data: bytes, change: Change) -> bytes:
    dataset = deid.dataset(data)
    change(dataset)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=False)
    return out.getvalue()


def _codes(data: bytes, seeds: tuple[bytes, ...] = ()) -> set[str]:
    found = verify.check(data, len(data), seeds=seeds)
    assert not isinstance(found, verify.NeedMore)
    return {one.code for one in found}


def _private(ds: pydicom.Dataset) -> None:
    ds.private_block(0x0011, "MAKER", create=True).add_new(1, "DS", "1")


def _nested(ds: pydicom.Dataset) -> None:
    ds.ReferencedImageSequence[0].PatientName = "X"


def _icon(ds: pydicom.Dataset) -> None:
    item = pydicom.Dataset()
    item.Rows = 4
    ds.IconImageSequence = [item]


LEAKS: dict[str, Change] = {
    "name": lambda ds: setattr(ds, "PatientName", "DUPONT^JEAN"),
    "id": lambda ds: setattr(ds, "PatientID", "12345678"),
    "birth date": lambda ds: setattr(ds, "PatientBirthDate", "19410317"),
    "referrer": lambda ds: setattr(ds, "ReferringPhysicianName", "DR X"),
    "institution": lambda ds: setattr(ds, "InstitutionName", "CHU"),
    "accession": lambda ds: setattr(ds, "AccessionNumber", "A123"),
    "study id": lambda ds: setattr(ds, "StudyID", "7"),
    "description": lambda ds: setattr(ds, "StudyDescription", "TDM THORAX M. DUPONT"),
    "age": lambda ds: setattr(ds, "PatientAge", "097Y"),
    "uid": lambda ds: setattr(ds, "FrameOfReferenceUID", "1.2.3.4"),
    "uid of another version": lambda ds: setattr(ds, "SeriesInstanceUID", "2.25.12345"),
    "private": _private,
    "nested": _nested,
    "icon": _icon,
    "overlay": lambda ds: ds.add_new(0x60000022, "LO", "x"),
    "curve": lambda ds: ds.add_new(0x50000040, "LO", "x"),
    "comment": lambda ds: setattr(ds, "ImageComments", "x"),
    "UN": lambda ds: ds.add_new(0x00181004, "UN", b"1234"),
    "long number": lambda ds: setattr(ds, "SeriesNumber", 123456789),
    "mail in model": lambda ds: setattr(ds, "ManufacturerModelName", "a@example.org"),
    "title in kernel": lambda ds: setattr(ds, "ConvolutionKernel", "DR DUPONT"),
    "date in software": lambda ds: setattr(ds, "SoftwareVersions", "17/03/1941"),
    "digits in manufacturer": lambda ds: setattr(ds, "Manufacturer", "06 12 34 56 78"),
    "no statement": lambda ds: delattr(ds, "PatientIdentityRemoved"),
    "other charset": lambda ds: setattr(ds, "SpecificCharacterSet", "ISO_IR 100"),
    "pixels cut": lambda ds: setattr(ds, "PixelData", ds.PixelData[:-2]),
    "pixels longer": lambda ds: setattr(ds, "PixelData", ds.PixelData + b"AB"),
    "signature": lambda ds: ds.add_new(0xFFFAFFFA, "SQ", []),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_without_seeds(good: bytes, name: str) -> None:
    data = deid.dataset(good)
    assert "ReferencedImageSequence" in data
    assert _codes(good) == set()
    assert _codes(_changed(good, lambda _: None)) <= {"identity_residue"}  # pydicom writes its own file meta
    leaking = _changed(good, LEAKS[name])
    patched = good[: _end_of_meta(good)] + leaking[_end_of_meta(leaking) :]
    assert _codes(patched), name


def _end_of_meta(data: bytes) -> int:
    return 144 + int.from_bytes(data[140:144], "little")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: b"MZ" + d[2:],
        lambda d: d + b"\0",
        lambda d: d[:-1],
        lambda d: d.replace(b"GROUNDGLASS_", b"SOMEBODY____", 1),
        lambda d: d[:140] + b"\xff\xff\0\0" + d[144:],
        lambda d: d[: _end_of_meta(d)] + b"\x09\0\x10\0LO\4\0ACME" + d[_end_of_meta(d) :],
        lambda d: b"",
        lambda d: d[:300],
    ],
)
def test_the_file_around_it_is_exact(good: bytes, change: Callable[[bytes], bytes]) -> None:
    assert _codes(change(good))


@pytest.mark.parametrize(
    ("keyword", "value", "seed"),
    [
        ("ManufacturerModelName", "LightSpeed Dùpont", b"dupont"),
        ("ConvolutionKernel", "LEE", b"lee"),
        ("SoftwareVersions", "xxDU-PONTxx", b"dupont"),
        ("ScanOptions", "DUPONT", b"dupont"),
        ("TableHeight", "654321.5", b"654321"),
    ],
)
def test_a_seed_is_found(good: bytes, keyword: str, value: str, seed: bytes) -> None:
    leaking = _changed(good, lambda ds: setattr(ds, keyword, value))
    patched = good[: _end_of_meta(good)] + leaking[_end_of_meta(leaking) :]
    assert _codes(patched) == set()
    assert _codes(patched, (b"other", seed)) == {"seed_found"}
    assert _codes(patched) == set()


def test_text_in_binary_numbers_is_found(good: bytes) -> None:
    leaking = _changed(good, lambda ds: ds.add_new(0x00189345, "FD", 0.0))
    patched = (good[: _end_of_meta(good)] + leaking[_end_of_meta(leaking) :]).replace(
        b"\x18\0\x45\x93FD\x08\0" + bytes(8), b"\x18\0\x45\x93FD\x08\0DUPONT\0\0"
    )
    assert _codes(patched, (b"dupont",)) == {"seed_found"}


def test_it_asks_for_the_rest_of_encapsulated_pixels() -> None:
    from groundglass.demo import variants

    data = variants.rle(deid.slice_())
    plan = deid.judge(deid.engine(), data)
    assert isinstance(plan, Deidentified)
    out = deid.carry_out(plan, data)
    assert verify.check(plan.parts[0], plan.size) == verify.NeedMore(plan.size)
    assert verify.check(out, len(out)) == ()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_header_byte_never_raises(data: st.DataObject) -> None:
    made = bytearray(deid.clean(deid.slice_().to_bytes()))
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(st.integers(0, 2600))] = data.draw(st.integers(0, 255))
    assert isinstance(verify.check(bytes(made), len(made)), tuple | verify.NeedMore)


def test_it_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(verify.__file__).read_text("utf-8"))
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in names if name.startswith(("groundglass", "pydicom"))]


def test_findings_carry_no_value() -> None:
    assert {f.name for f in dataclasses.fields(verify.Finding)} == {"code", "tag"}
    assert ExplicitVRLittleEndian.encode() == verify._EXPLICIT
