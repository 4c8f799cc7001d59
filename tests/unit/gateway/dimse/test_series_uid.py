"""The series of a data set is found in every encoding, and not found where it only seems to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from groundglass.gateway.dimse.series_uid import find_series_uid

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
UID = "1.2.840.99.3"


def example(*, undefined: bool) -> Dataset:
    inner = Dataset()
    inner.SeriesInstanceUID = "9.9.9"
    inner.ReferencedSOPInstanceUID = "9.9"
    item = Dataset()
    item.ReferencedInstanceSequence = Sequence([inner])
    item.SeriesInstanceUID = "8.8.8"
    whole = Dataset()
    whole.SpecificCharacterSet = "ISO_IR 100"
    whole.ReferencedSeriesSequence = Sequence([item, item])
    whole.add(DataElement(0x00091010, "UN", b"private" * 20 + b"\0\0"))
    whole.StudyInstanceUID = "1.2.840.99.2"
    whole.SeriesInstanceUID = UID
    whole.PixelData = bytes(100)
    whole["PixelData"].VR = "OW"
    for sequence in (whole["ReferencedSeriesSequence"], item["ReferencedInstanceSequence"]):
        sequence.is_undefined_length = undefined
        for each in sequence.value:
            each.is_undefined_length_sequence_item = undefined
    return whole


def encode(data_set: Dataset, syntax: str) -> bytes:
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = syntax == IMPLICIT, syntax != BIG
    write_dataset(out, data_set)
    return out.getvalue()


@pytest.mark.parametrize("undefined", [True, False], ids=["undefined lengths", "lengths"])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_the_series_of_the_data_set_itself_is_found(syntax: str, undefined: bool) -> None:
    assert find_series_uid(encode(example(undefined=undefined), syntax), syntax) == UID.encode()


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_a_data_set_without_one(syntax: str) -> None:
    data_set = example(undefined=True)
    del data_set.SeriesInstanceUID
    assert find_series_uid(encode(data_set, syntax), syntax) == b""


def test_every_cut_before_the_value_ends_finds_nothing() -> None:
    whole = encode(example(undefined=False), EXPLICIT)
    end = whole.index(UID.encode()) + len(UID)
    assert find_series_uid(whole[: end + 1], EXPLICIT) == UID.encode()
    assert {find_series_uid(whole[:cut], EXPLICIT) for cut in range(end)} == {b""}


def test_a_deflated_one_is_not_looked_into() -> None:
    assert find_series_uid(encode(example(undefined=False), EXPLICIT), "1.2.840.10008.1.2.1.99") == b""


def test_sequences_without_end_are_walked_no_further_than_the_limit() -> None:
    endless = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 100_000
    assert find_series_uid(endless, EXPLICIT) == b""


@given(st.binary(max_size=400), st.sampled_from([IMPLICIT, EXPLICIT, BIG, "1.2.3"]))
def test_no_bytes_raise(head: bytes, syntax: str) -> None:
    assert len(find_series_uid(head, syntax)) <= 64
