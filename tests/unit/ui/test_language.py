"""Which language, and how a text is found in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import Request

from groundglass.ui.language import language_of
from groundglass.ui.translations import Catalogue


def request(*, query: str = "", cookie: str = "", accept: str | None = None) -> Request:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    if accept is not None:
        headers.append((b"accept-language", accept.encode()))
    return Request({"type": "http", "query_string": query.encode(), "headers": headers})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "fr"),
        ("", "fr"),
        ("de, es", "fr"),
        ("en", "en"),
        ("EN-gb", "en"),
        ("fr;q=0.5, en;q=0.8", "en"),
        ("en;q=0.8, fr", "fr"),
        ("en;q=0", "fr"),
        ("en;q=x, fr;q=0.1", "fr"),
        ("en;" * 5000, "fr"),
    ],
)
def test_accept_language(accept: str | None, expected: str) -> None:
    assert language_of(request(accept=accept)) == expected


def test_the_query_wins_over_the_cookie_and_the_cookie_over_the_header() -> None:
    assert language_of(request(query="lang=fr", cookie="langue=en", accept="en")) == "fr"
    assert language_of(request(cookie="langue=en", accept="fr")) == "en"
    assert language_of(request(query="lang=xx", cookie="langue=<b>", accept="en")) == "en"


def test_a_text_without_english_stands_in_french() -> None:
    assert Catalogue({}).text("Connexion", "en") == "Connexion"
    assert Catalogue({"Connexion": "Sign in"}).text("Connexion", "en") == "Sign in"


def test_whole_numbers_in_a_text_are_written_the_way_of_the_language() -> None:
    catalogue = Catalogue({"{n} images": "{n} images"})
    assert catalogue.text("{n} images", "fr", n=16762) == "16\u202f762 images"
    assert catalogue.text("{n} images", "en", n=16762) == "16,762 images"


def test_values_are_never_read_as_a_format() -> None:
    assert Catalogue({}).text("Centre {c}", "fr", c="{0.__class__}") == "Centre {0.__class__}"


@pytest.mark.parametrize(
    ("n", "french", "english"),
    [
        (0, "image", "images"),
        (1, "image", "image"),
        (2, "images", "images"),
    ],
)
def test_french_counts_zero_as_one(n: int, french: str, english: str) -> None:
    catalogue = Catalogue({"{n} image": "{n} image", "{n} images": "{n} images"})
    assert catalogue.plural("{n} image", "{n} images", n, "fr") == f"{n} {french}"
    assert catalogue.plural("{n} image", "{n} images", n, "en") == f"{n} {english}"


def test_french_double_marks_keep_their_space() -> None:
    text = Catalogue({}).text("Le motif : « absent » ; et après ?", "fr")
    assert text == "Le motif\u00a0: «\u00a0absent\u00a0»\u202f; et après\u202f?"


def test_two_translations_of_one_text_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('"Série" = "Series"\n')
    (tmp_path / "b.toml").write_text('"Série" = "Set"\n')
    with pytest.raises(ValueError, match="two English texts"):
        Catalogue.load([tmp_path / "a.toml", tmp_path / "b.toml"])
