"""French is the source language: a text is its own key, and a TOML file gives its English.

A text may hold `{names}`; whole numbers put there are written the way of the language.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from groundglass.ui import formats
from groundglass.ui.language import Language

OWN: Final = Path(__file__).with_name("english.toml")
# Sources are typed with plain spaces; a line must not break there.
_BEFORE: Final = re.compile(r" (?=[;?!])")
_QUOTES: Final = re.compile(r"(?<=«) | (?=»)")


def _(text: str) -> str:
    """Mark a French text in code for translation where it is shown. The test of translations looks for this call."""
    return text


class Catalogue:
    """The English of every French text, from one or more TOML files."""

    def __init__(self, english: Mapping[str, str]) -> None:
        self._english = english

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Catalogue:
        """Merge the files; the same text with two translations is an error."""
        merged: dict[str, str] = {}
        for path in paths:
            for french, english in read(path).items():
                if merged.setdefault(french, english) != english:
                    raise ValueError(f"{path.name}: two English texts for {french!r}")
        return cls(merged)

    def knows(self, text: str) -> bool:
        """Whether the text is a French source text with a translation."""
        return text in self._english

    def text(self, text: str, language: Language, /, **values: object) -> str:
        """Return the text in the language, with its `{names}` filled in. Without a translation the French stands."""
        chosen = _spaced(text) if language == "fr" else self._english.get(text, text)
        if not values:
            return chosen
        return chosen.format(**{name: _shown(value, language) for name, value in values.items()})

    def plural(self, one: str, many: str, n: int, language: Language, /, **values: object) -> str:
        """Return the form for `n`, which fills `{n}`. French counts 0 and 1 as singular, English only 1."""
        singular = n < 2 if language == "fr" else n == 1
        return self.text(one if singular else many, language, n=n, **values)


def read(path: Path) -> dict[str, str]:
    """Read one file of translations: French = English, both strings."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    return {str(french): str(english) for french, english in entries.items()}


@cache
def own() -> Catalogue:
    """Return the texts of the shared parts alone: problems, sign-in, layout."""
    return Catalogue.load([OWN])


def _spaced(text: str) -> str:
    """Put the no-break spaces of French around what stands before or inside its double marks."""
    return _BEFORE.sub(formats.NARROW, _QUOTES.sub(formats.NO_BREAK, text)).replace(" :", f"{formats.NO_BREAK}:")


def _shown(value: object, language: Language) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return formats.number(value, language)
    return value
