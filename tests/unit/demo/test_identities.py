"""Made-up people: unmistakably invented, and planted in every place that a file has."""

from __future__ import annotations

import io

import pydicom
import pytest

from groundglass.demo import phantom, planting
from groundglass.demo.identities import FAMILIES, GIVEN, PHONE_RANGES, known_by, person
from groundglass.demo.makers import MAKERS
from support.identities import residues

PEOPLE = [person(seed) for seed in range(200)]


def test_no_social_security_number_can_be_real() -> None:
    for someone in PEOPLE:
        number, key = int(someone.nir[:13]), int(someone.nir[13:])
        assert len(someone.nir) == 15
        assert someone.nir[3:5] == "13"
        assert key != 97 - number % 97


def test_telephones_and_mails_are_of_the_ranges_kept_for_fiction() -> None:
    for someone in PEOPLE:
        assert someone.phone[:8] in PHONE_RANGES
        assert someone.mail.isascii()
        assert someone.mail.endswith(".example.org")


def test_people_differ_in_every_number() -> None:
    for attribute in ("ipp", "nir", "accession", "order", "mail"):
        assert len({getattr(someone, attribute) for someone in PEOPLE}) > 195


def test_names_have_what_breaks_software() -> None:
    together = " ".join(("", *FAMILIES, *GIVEN))
    for mark in ("é", "ï", "œ", "Œ", "É", "Ç", "-", "'", " de la "):
        assert mark in together


@pytest.mark.parametrize("maker", list(MAKERS))
def test_every_place_is_really_planted(maker: str) -> None:
    someone = person(11)
    file = next(phantom.objects(11, slices=2, rows=32, columns=32, maker=maker))
    places = (*planting.PLACES_IN_DATA_SET, *planting.PLACES_AROUND_IT)
    content = planting.plant(file, someone, places=places).to_bytes()
    missing = [place for place, value in planting.planted(someone).items() if not residues(content, [value])]
    assert missing == []
    assert set(planting.planted(someone)) == set(places)


def test_a_planted_value_says_where_it_was() -> None:
    values = planting.planted(person(3))
    assert len(set(values.values())) == len(values)
    assert not set(values.values()) & set(planting.planted(person(4)).values())


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87", "\\ISO 2022 IR 100"])
def test_a_planted_file_is_still_dicom_in_every_charset(charset: str) -> None:
    file = next(phantom.objects(3, slices=2, rows=32, columns=32, charset=charset))
    content = planting.plant(file, person(3)).to_bytes()
    with pydicom.config.disable_value_validation():
        data_set = pydicom.dcmread(io.BytesIO(content))
        assert planting.planted(person(3))["nested-3"] in str(data_set)
    if "87" in charset or "192" in charset:
        assert data_set.PatientName.ideographic == "山田^太郎"


def test_an_ordinary_header_carries_its_person() -> None:
    content = next(phantom.series(3, 2, 32, 32))
    found = {finding.split()[2] for finding in residues(content, list(known_by(person(3))))}
    assert len(found) > 10
