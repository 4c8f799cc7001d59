"""What names someone is folded alike, however it was written; character sets are told apart."""

from __future__ import annotations

import pytest

from groundglass.deid import charset, seeds

NAME, ID, INSTITUTION, STATION = 0x00100010, 0x00100020, 0x00080080, 0x00081010


@pytest.mark.parametrize(
    ("text", "expected"),
    [("DUPONT^Jean", {b"dupont", b"jean", b"dupontjean"}), ("Cœur^Éléonore", {b"coeur", b"eleonore", b"coeureleonore"}),
     ("L’HÉRITIER^ØYSTEIN", {b"heritier", b"oystein", b"lheritieroystein"}), ("de la Tour^X", {b"tour", b"delatourx"})],
)  # fmt: skip
def test_names(text: str, expected: set[bytes]) -> None:
    assert set(seeds.collect([(NAME, text)])) == expected


def test_ids_count_whole_and_short_ones_do_not() -> None:
    assert seeds.collect([(ID, "IPP-12345678")]) == (b"12345678", b"ipp12345678")
    assert seeds.collect([(ID, "12345")]) == ()
    assert seeds.collect([(ID, "000000")]) == ()


def test_a_station_called_like_its_scanner_is_no_seed_but_a_person_is() -> None:
    known = frozenset({"sensation", "siemens"})
    assert seeds.collect([(STATION, "SENSATION"), (INSTITUTION, "Siemens")], known) == ()
    assert seeds.collect([(INSTITUTION, "Siemens Erlangen")], known) == (b"erlangen", b"siemenserlangen")
    assert seeds.collect([(NAME, "SIEMENS")], known) == (b"siemens",)


@pytest.mark.parametrize(
    ("value", "declared", "text", "good"),
    [
        ("Éléonore".encode("latin-1"), "ISO_IR 100", "Éléonore", True),
        ("Éléonore".encode(), "ISO_IR 192", "Éléonore", True),
        ("Cœur".encode("iso8859-15"), "ISO_IR 203", "Cœur", True),
        ("Éléonore".encode(), "", "Éléonore", False),
        ("Éléonore".encode("latin-1"), "ISO_IR 192", "Éléonore", False),
        ("山田".encode("iso2022_jp"), "\\ISO 2022 IR 87", "山田", True),
        (b"DUPONT", "nonsense", "DUPONT", True),
    ],
)
def test_character_sets(value: bytes, declared: str, text: str, good: bool) -> None:
    assert charset.decode(value, charset.codec(declared)) == (text, good)


def test_an_undefined_character_set_is_told() -> None:
    assert charset.codec("KLINGON") is None
