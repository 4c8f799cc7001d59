"""One value at a time: valid ones stay as they are, identities in any VR do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.deid import actions, standard
from groundglass.deid.identifiers import Keys
from groundglass.deid.standard import Rule

KEYS = Keys.derive(bytes(range(32)), collection="fidac", centre="A")


def _rule(keyword: str) -> Rule:
    return next(rule for rule in standard.ct_image().values() if rule.keyword == keyword)


@pytest.mark.parametrize("value", [b"1.25", b"-124.00 ", b"+0.0", b" 40\\400", b".5", b"1e-3", b"", b"5.", b"\\2"])
def test_a_decimal_string_stays(value: bytes) -> None:
    assert actions.numbers(_rule("SliceThickness"), value, "DS") == value


@pytest.mark.parametrize(
    "value",
    [b"DUPONT", b"1.5x", b"1\\DUPONT", b"19410317", b"1410399999001", b"1,5", b"0.123456789012345", b"1" * 40],
)
def test_what_is_not_a_plain_number_goes(value: bytes) -> None:
    assert actions.numbers(_rule("SliceThickness"), value, "DS") is None


@pytest.mark.parametrize(("value", "kept"), [(b"12", True), (b"12.5", False), (b"123456", False), (b"A", False)])
def test_integers(value: bytes, kept: bool) -> None:
    assert (actions.numbers(_rule("Exposure"), value, "IS") is not None) is kept


@pytest.mark.parametrize(("value", "vr", "kept"), [
    (bytes(8), "FD", True), (bytes(7), "FD", False), (bytes(24), "FD", True), (bytes(136), "FD", False),
    (b"\1\0", "US", True), (b"", "US", True), (b"x", "US", False),
])  # fmt: skip
def test_binary_numbers(value: bytes, vr: str, kept: bool) -> None:
    assert (actions.numbers(_rule("CTDIvol"), value, vr) is not None) is kept


@given(st.text(max_size=64))
def test_only_listed_terms_pass(text: str) -> None:
    found = actions.term(_rule("ScanOptions"), text)
    assert not found or set(found.decode().split("\\")) <= standard.terms()["ScanOptions"]


@pytest.mark.parametrize(("keyword", "text", "kept"), [
    ("ScanOptions", "HELICAL MODE\\DUPONT", b"HELICAL MODE"), ("ScanOptions", "DUPONT", None), ("ScanOptions", "", b""),
    ("PatientOrientation", "L\\P", b"L\\P"), ("PatientOrientation", "L\\DUPONT", None),
    ("ImageType", "ORIGINAL\\PRIMARY\\AXIAL\\DUPONT", b"ORIGINAL\\PRIMARY\\AXIAL"),
])  # fmt: skip
def test_terms(keyword: str, text: str, kept: bytes | None) -> None:
    assert actions.term(_rule(keyword), text) == kept


@pytest.mark.parametrize(
    ("keyword", "text", "kept"),
    [
        ("Manufacturer", "GE MEDICAL SYSTEMS", b"GE MEDICAL SYSTEMS"),
        ("Manufacturer", "Siemens Healthineers", b"Siemens Healthineers"),
        ("Manufacturer", "DUPONT", None),
        ("ManufacturerModelName", "Brilliance16", b"Brilliance16"),
        ("ManufacturerModelName", "Sensation 10", b"Sensation 10"),
        ("ManufacturerModelName", "SOMATOM Definition AS+", b"SOMATOM Definition AS+"),
        ("ManufacturerModelName", "Sensation de M. Dupont", b"Sensation"),
        ("SoftwareVersions", "syngo CT 2012B", b"syngo CT 2012B"),
        ("SoftwareVersions", "V8.32ER009", b"V8.32ER009"),
        ("SoftwareVersions", "2.3.5", b"2.3.5"),
        ("SoftwareVersions", "vct_zeta.4", b"vct_zeta.4"),
        ("ConvolutionKernel", "B31f", b"B31f"),
        ("ConvolutionKernel", "Br40d\\3", b"Br40d\\3"),
        ("ConvolutionKernel", "BONEPLUS", b"BONEPLUS"),
        ("ConvolutionKernel", "FC51\\DUPONT", b"FC51"),
        ("ContrastBolusAgent", "OMNIPAQUE 350 80ml", b"OMNIPAQUE 350 80ml"),
        ("ContrastBolusAgent", "Omnipaque Mme Durand née Petit", b"Omnipaque"),
        ("ContrastBolusAgent", "06 12 34 56 78", None),
        ("ContrastBolusAgent", "19-03-1941-1200", None),
        ("FilterType", "BODY FILTER\\MARTIN", b"BODY FILTER"),
        ("FilterType", "", b""),
        ("PositionReferenceIndicator", "SN", b"SN"),
        ("RescaleType", "HU", b"HU"),
    ],
)
def test_words(keyword: str, text: str, kept: bytes | None) -> None:
    assert actions.words(_rule(keyword), text, frozenset()) == kept


def test_a_seed_that_is_also_a_vocabulary_word_goes() -> None:
    words = actions.words(_rule("ManufacturerModelName"), "Sensation Spirit 10", frozenset({"spirit"}))
    assert words == b"Sensation 10"
    assert actions.words(_rule("ConvolutionKernel"), "B31f", frozenset({"b31f"})) is None


def test_registered_uids_stay_and_all_others_are_new() -> None:
    assert actions.uid(b"1.2.840.10008.1.4.1.1\0", KEYS) == b"1.2.840.10008.1.4.1.1"
    assert actions.uid(b"1.2.840.10008.1.4.1.1.9", KEYS).startswith(b"2.25.")
    assert len(actions.uid(b"1.2\\1.3", KEYS).split(b"\\")) == 2
    assert actions.sop_class(b"1.3.12.2.1107.5.9.1") is None


@pytest.mark.parametrize(("value", "kept"), [(b"3 ", b"3 "), (b"12345", b"12345"), (b"", b""), (b"A12", None)])
def test_numbers_of_series_stay_up_to_five_digits(value: bytes, kept: bytes | None) -> None:
    assert actions.number(value, KEYS) == kept


def test_a_longer_number_becomes_a_keyed_one() -> None:
    found = actions.number(b"19410317", KEYS)
    assert found is not None
    assert len(found) == 5
    assert found == actions.number(b"19410317 ", KEYS)
