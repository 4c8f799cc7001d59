"""French is in the source, English in one file an area: no text without English, no spare English, nothing unmarked."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from groundglass.ui import problem_texts, translations
from support import texts

SHARED = texts.SOURCE / "ui"
TEMPLATES = sorted(texts.SOURCE.rglob("templates/*.html"))


@pytest.mark.parametrize("folder", texts.AREAS, ids=lambda folder: folder.name)
def test_every_french_text_has_its_english_and_no_english_is_spare(folder: Path) -> None:
    used = texts.used(folder)
    if folder != SHARED:
        used -= texts.used(SHARED)
    translated = set(translations.read(texts.AREAS[folder]))
    assert used - translated == set(), "texts without English"
    assert translated - used == set(), "English of texts that no page shows"


@pytest.mark.parametrize("folder", texts.AREAS, ids=lambda folder: folder.name)
def test_both_languages_have_the_same_gaps_to_fill(folder: Path) -> None:
    for french, english in translations.read(texts.AREAS[folder]).items():
        assert gaps(french) == gaps(english), french


def test_the_texts_of_all_areas_agree() -> None:
    for own in list(texts.AREAS.values())[1:]:
        translations.Catalogue.load([translations.OWN, own])


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_no_template_has_words_outside_of_a_text(path: Path) -> None:
    assert texts.unmarked(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_no_template_has_inline_style_or_handler(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert " style=" not in source
    assert re.findall(r'\son\w+="', source) == []
    assert "| safe" not in source
    assert "|safe" not in source


def test_the_finder_finds_what_it_should() -> None:
    assert texts.unmarked('<p>Bonjour</p>{{ _("x") }}') == ["Bonjour"]
    assert texts.unmarked('<a title="Ouvrir">–</a>') == ["Ouvrir"]
    assert list(texts.in_template("{{ _('un') }}{{ _n('a', 'b', 3) }}")) == ["un", "a", "b"]
    assert list(texts.in_code("x = _('un')")) == ["un"]


def test_every_error_of_the_tree_has_a_problem_page() -> None:
    from groundglass import errors

    for name in vars(errors).values():
        if isinstance(name, type) and issubclass(name, errors.GroundglassError):
            assert name.slug in problem_texts.KINDS, name.slug


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
