"""Compressed pixels pass when the stream is the image and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_fragments

from groundglass.deid.engine import Rejected
from groundglass.demo import variants
from support import deid, shared

REAL = ["CT1_J2KI", "CT1_J2KR", "CT1_JLSL", "CT1_JLSN", "CT1_JPLL", "CT1_RLE", "CT2_J2KR", "CT2_JPLL", "CT2_RLE"]


def _original(path: Path) -> pydicom.Dataset:
    dataset = pydicom.dcmread(path)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]  # they are DERIVED, and held back for that
    return dataset


def _bytes(dataset: pydicom.Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def _with_stream(dataset: pydicom.Dataset, stream: bytes) -> bytes:
    dataset.PixelData = encapsulate([stream], has_bot=False)
    return _bytes(dataset)


def _code(data: bytes) -> str:
    found = deid.judge(deid.engine(), data)
    assert isinstance(found, Rejected), "it passed"
    return found.code


@pytest.mark.parametrize("name", REAL)
def test_real_codecs_pass_with_the_same_fragments(name: str) -> None:
    path = shared.data("dicom", "codecs_wg04", f"{name}.dcm")
    before, after = _original(path), deid.dataset(deid.clean(_bytes(_original(path))))
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert list(generate_fragments(after.PixelData))[1:] == list(generate_fragments(before.PixelData))[1:]
    assert _code(path.read_bytes()) == "burned_in_text"


def _after_soi(segment: bytes):
    return lambda s: s[:2] + segment + s[2:]


@pytest.mark.parametrize("change", [
    _after_soi(b"\xff\xfe\x00\x08DUPONT"), _after_soi(b"\xff\xe1\x00\x0aExif\0\0XX"), lambda s: s + b"DUPONT^JEAN",
    lambda s: s + b"\0\0", lambda s: s[:-2], lambda s: b"DUPONT" + s, lambda s: s[: len(s) // 2],
    lambda s: b"\xff\xd8\xff\xd9", lambda s: s.rstrip(b"\0\xff") + s,
], ids=range(9))  # fmt: skip
@pytest.mark.parametrize("name", ["CT1_JLSL", "CT1_JPLL"])
def test_jpeg_with_anything_else_is_held_back(name: str, change) -> None:
    dataset = _original(shared.data("dicom", "codecs_wg04", f"{name}.dcm"))
    stream = b"".join(generate_fragments(dataset.PixelData))
    assert _code(_with_stream(dataset, change(stream))) == "stream_text"


@pytest.mark.parametrize("change", [
    lambda s: s.replace(b"Kakadu-2.2", b"DUPONT JEA"), lambda s: s.replace(b"Kakadu-2.2", b"Kakadu-194"),
    lambda s: s + b"DUPONT^JEAN", lambda s: s[:-20],
])  # fmt: skip
def test_jpeg_2000_with_anything_else_is_held_back(change) -> None:
    dataset = _original(shared.data("dicom", "codecs_wg04", "CT1_J2KR.dcm"))
    stream = b"".join(generate_fragments(dataset.PixelData))
    assert _code(_with_stream(dataset, change(stream))) == "stream_text"


def test_rle_and_its_padding() -> None:
    data = variants.rle(deid.slice_())
    assert deid.dataset(deid.clean(data)).PixelData
    dataset = deid.dataset(data)
    stream = b"".join(generate_fragments(dataset.PixelData))
    for other in (stream + b"DUPONT^JEAN!", stream[:40] + b"DUPO" + stream[44:], stream[:-8], b"\3" + stream[1:]):
        assert _code(_with_stream(dataset, other)) == "stream_text"


def test_fragments_that_the_file_does_not_hold() -> None:
    data = variants.rle(deid.slice_())
    assert _code(data[:-20]) == "truncated"


def test_native_pixels_in_a_compressed_syntax_and_the_reverse() -> None:
    native = deid.slice_()
    assert _code(variants.written_as(native, "1.2.840.10008.1.2.5").to_bytes()) == "conformance"
