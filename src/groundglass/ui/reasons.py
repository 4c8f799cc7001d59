"""Reason codes in words: what was seen in an image that is held back, and what to do about it."""

from __future__ import annotations

from typing import Final

from groundglass.deid import reasons
from groundglass.ui.language import Language
from groundglass.ui.translations import _

GRADES: Final = {"review": _("À relire"), "refuse": _("Écartée")}


def text(code: str, *, language: Language) -> str:
    """Return the reason in words; the code itself when no table knows it: a gateway may be newer than the registry."""
    try:
        return reasons.message(code, language)
    except LookupError:
        return code


def next_step(code: str, *, language: Language) -> str:
    """Return what to do about it, nothing for an unknown code."""
    try:
        return reasons.next_step(code, language)
    except LookupError:
        return ""
