"""Profiles: the named ones are frozen, a custom one is checked, both describe themselves."""

from __future__ import annotations

from importlib.resources import files

import pytest

from groundglass.deid import profile, reasons, standard
from groundglass.deid.describe import describe
from groundglass.errors import UsageError

FROZEN = {
    "fidac-anonyme": "c65daddbedfeb8213a90d0fa9665740d7c61fa5d423c73edbaceb5a99dd142ac",
    "recherche-pseudonyme": "029bfd83cdf9fd17",
}


def _text(name: str = "fidac-anonyme") -> str:
    return files("groundglass.deid").joinpath("profiles", f"{name}.toml").read_text("utf-8")


@pytest.mark.parametrize("name", profile.NAMED)
def test_a_named_profile_is_frozen(name: str) -> None:
    found = profile.load(name)
    assert found.id == name
    assert found.sha256.startswith(FROZEN[name]), "a change needs a new version, and this hash"
    assert profile.load(_text(name)) == found


@pytest.mark.parametrize(
    "change",
    [
        ('dates = "rebase"', 'dates = "keep"'),
        ("shift_days = 3650", "shift_days = 0"),
        ("shift_days = 3650", "shift_days = true"),
        ('"113101"', '"113110"'),
        ("keep = []", 'keep = ["name"]'),
        ("age_band = 5", "age_band = 7"),
        ("trial = false", "trial = 1"),
        ("trial = false", "trial ="),
        ('patient_prefix = "FID-"', 'patient_prefix = "é"'),
        ('id = "fidac-anonyme"', 'id = "x"\nother = 1'),
        ("id =", "ID ="),
        ('accession = "empty"', 'accession = "keep"'),
        ('head = "refuse"', 'head = "pass"'),
    ],
)
def test_a_wrong_profile_is_refused(change: tuple[str, str]) -> None:
    assert change[0] in _text()
    with pytest.raises(UsageError):
        profile.load(_text().replace(*change))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="no such profile"):
        profile.load("fidac")


@pytest.mark.parametrize("name", profile.NAMED)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_description_names_every_attribute_of_the_table_once(name: str, language: str) -> None:
    text = describe(profile.load(name), language)
    lines = [line for line in text.splitlines() if line.startswith("(")]
    assert [line[1:10].replace(",", "") for line in lines] == [f"{tag:08X}" for tag in standard.ct_image()]
    assert profile.load(name).sha256 in text


def test_descriptions_say_what_differs() -> None:
    fidac, research = (describe(profile.load(name), "en") for name in profile.NAMED)
    assert "PatientWeight: removed" in fidac
    assert "PatientWeight: kept" in research
    assert "study time becomes noon" in fidac
    assert "time kept" in research


def test_every_reason_speaks_both_languages() -> None:
    for code, reason in reasons.REASONS.items():
        assert code == code.lower() == reason.code
        texts = [reasons.message(code, lang) for lang in ("fr", "en")] + [
            reasons.next_step(code, lang) for lang in ("fr", "en")
        ]
        assert all(texts)
        assert len(set(texts)) == 4
    with pytest.raises(LookupError):
        reasons.message("nonsense", "fr")
