"""The other things that arrive: each is what it says, so that a test of ours cannot pass on the wrong input."""

from __future__ import annotations

import io
import struct

import pydicom
import pytest

from groundglass.demo import phantom, variants
from groundglass.demo.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Part10


@pytest.fixture(scope="module")
def file() -> Part10:
    return next(phantom.objects(2, slices=2, rows=32, columns=32, maker="siemens"))


def read(content: bytes, *, force: bool = False) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(content), force=force)


@pytest.mark.parametrize("write", [variants.deflated, variants.big_endian])
def test_another_encoding_is_the_same_object(file: Part10, write) -> None:
    data_set, plain = read(write(file)), read(file.to_bytes())
    assert data_set.PatientName == plain.PatientName
    assert data_set.Rows == 32
    pixels = data_set.PixelData
    if not data_set.original_encoding[1]:
        pixels = b"".join(struct.pack("<H", value) for (value,) in struct.iter_unpack(">H", pixels))
    assert pixels == plain.PixelData


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_LITTLE])
def test_both_usual_encodings_are_the_same_object(file: Part10, syntax: str) -> None:
    data_set = read(variants.written_as(file, syntax).to_bytes())
    assert data_set.file_meta.TransferSyntaxUID == syntax
    assert data_set.PixelData == file.pixels


def test_rle_decodes_to_the_same_pixels(file: Part10) -> None:
    from pydicom.pixels.decoders.rle import _rle_decode_frame

    data_set = read(variants.rle(file))
    frame = pydicom.encaps.get_frame(data_set.PixelData, 0, number_of_frames=1)
    planes = _rle_decode_frame(frame, 32, 32, 1, 16)
    assert bytes(planes) == file.pixels


def test_other_objects_have_their_own_instance_uid_and_say_what_they_are(file: Part10) -> None:
    made = {
        make.__name__: make(file) for make in (variants.localizer, variants.secondary_capture, variants.dose_screen)
    }
    assert len({other[0x00080018] for other in (*made.values(), file)}) == 4
    assert read(made["localizer"].to_bytes()).ImageType[2] == "LOCALIZER"
    assert read(made["dose_screen"].to_bytes()).SOPClassUID == variants.SECONDARY_CAPTURE
    assert read(made["secondary_capture"].to_bytes()).ConversionType == "WSD"


def test_overlay_bits_stand_above_the_stored_ones(file: Part10) -> None:
    data_set = read(variants.overlay_in_pixels(file, "NOM DU PATIENT").to_bytes())
    assert data_set[0x60000102].value == 15 > data_set.HighBit
    assert any(high & 0xF0 for high in data_set.PixelData[1::2])


def test_other_pixels_keep_the_uid(file: Part10) -> None:
    other = variants.other_pixels(file)
    assert other[0x00080018] == file[0x00080018]
    assert other.pixels != file.pixels
    assert len(other.pixels) == len(file.pixels)


def test_the_huge_one_claims_3_gb_in_a_few_kilobytes() -> None:
    big = next(phantom.objects(2, slices=2, maker="ge"))
    content = variants.huge_multiframe(big)
    assert len(content) < 20_000
    assert struct.unpack("<I", content[-4:])[0] == 6144 * 512 * 512 * 2 == 3 << 30


def test_damaged_files_are_damaged(file: Part10) -> None:
    assert len(variants.truncated(file)) == len(file.to_bytes()) // 2
    assert variants.without_meta(file)[:4] == b"\x08\0\x05\0"
    assert read(variants.unknown_syntax(file)).file_meta.TransferSyntaxUID == "2.25.123456"
    with pydicom.config.disable_value_validation():
        assert read(variants.with_uid(file, "../../etc/passwd").to_bytes()).SOPInstanceUID == "../../etc/passwd"
    with pytest.raises((RecursionError, EOFError)):
        str(read(variants.deep(file)))


def test_what_is_not_dicom_is_refused_by_pydicom() -> None:
    for name, content in variants.not_dicom():
        if name == "preamble-only":
            continue
        with pytest.raises((pydicom.errors.InvalidDicomError, EOFError)):
            read(content)
