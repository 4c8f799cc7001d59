"""The writer of test data, judged by pydicom's reader: what it writes is what was asked, lies included."""

from __future__ import annotations

import io
import struct

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.demo.elements import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Element,
    Part10,
    Writing,
    encode,
    head,
    rows,
)

INNER = (Element(0x00080100, "SH", "ABC"), Element(0x0040A730, "SQ", ((Element(0x00080104, "LO", "troisième"),),)))
ELEMENTS = rows(
    (0x00080005, "CS", "ISO_IR 100"),
    (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"),
    (0x00080018, "UI", "2.25.1"),
    (0x00100010, "PN", "Œufdecoq^Zoé"),
    (0x00189305, "FD", (0.5, 0.25)),
    (0x00280010, "US", (512,)),
    (0x00280103, "US", (1,)),
    (0x00280120, "SS", (-2000,)),
    (0x00081032, "SQ", (INNER, ())),
    (0x00090010, "LO", "BIDON"),
    (0x00091001, "UN", b"\1\2\3"),
    (0x00280009, "AT", (0x0018, 0x1063)),
)


def read(part: Part10) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(part.to_bytes()))


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED])
def test_every_syntax_reads_back(syntax: str, undefined: bool) -> None:
    data_set = read(Part10(ELEMENTS, Writing(syntax, undefined_lengths=undefined), pixels=b"\1\2\3\4"))
    assert data_set.file_meta.TransferSyntaxUID == syntax
    assert data_set.RevolutionTime == [0.5, 0.25]
    assert (data_set.Rows, data_set.PixelPaddingValue, data_set.FrameIncrementPointer) == (512, -2000, 0x00181063)
    code, empty = data_set.ProcedureCodeSequence
    assert code[0x0040A730][0].CodeMeaning == "troisième"
    assert len(empty) == 0
    assert data_set[0x00091001].value == b"\1\2\3\0"
    assert data_set.PixelData == (b"\2\1\4\3" if syntax == EXPLICIT_BIG else b"\1\2\3\4")


@pytest.mark.parametrize(
    ("charset", "written"),
    [("ISO_IR 100", b"\x8cufdecoq^Zo\xe9"), ("ISO_IR 192", b"\xc5\x92ufdecoq^Zo\xc3\xa9")],
)
def test_text_is_written_in_the_charset_and_codes_are_not(charset: str, written: bytes) -> None:
    assert written in encode(ELEMENTS, Writing(charset=charset))


def test_elements_are_sorted_and_the_last_of_equal_tags_wins() -> None:
    content = encode(rows((0x00200013, "IS", "2"), (0x00080060, "CS", "CT"), (0x00200013, "IS", "4")), Writing())
    assert content == b"\x08\0\x60\0CS\2\0CT\x20\0\x13\0IS\2\0004 "


def test_a_length_may_lie() -> None:
    assert head(0x00204000, "UN", 1 << 30, Writing()) == b"\x20\0\0\x40UN\0\0" + struct.pack("<I", 1 << 30)


def test_preamble_meta_and_tail_are_where_they_belong() -> None:
    part = Part10(ELEMENTS, meta=(Element(0x00020016, "AE", "CT_BIDON"),), preamble=b"x" * 128, tail=b"what follows")
    content = part.to_bytes()
    assert content[:132] == b"x" * 128 + b"DICM"
    assert content.endswith(b"what follows")
    assert read(Part10(ELEMENTS, meta=part.meta)).file_meta.SourceApplicationEntityTitle == "CT_BIDON"


@given(st.binary(max_size=64), st.sampled_from(["OB", "UN", "LO", "DS"]), st.sampled_from([False, True]))
def test_any_bytes_of_any_vr_keep_the_file_in_step(value: bytes, vr: str, implicit: bool) -> None:
    writing = Writing(IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE)
    content = encode(rows((0x00091001, vr, value), (0x00280010, "US", (512,))), writing)
    assert len(content) % 2 == 0
    assert content.endswith(encode(rows((0x00280010, "US", (512,))), writing))
    assert value in content
