"""Reason codes in words: what was seen in an image that is held back, and what to do about it."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, Final

from groundglass.ui.language import Language
from groundglass.ui.translations import _

# What a grade means for the reader. A code without grade stands for a refusal by the registry's verifier.
NEXT_STEPS: Final = {
    "review": _("À relire à l'hôpital avant toute décision."),
    "refuse": _("Ne sera pas transmise. Corrigez l'examen à la source, puis renvoyez-le."),
}
GRADES: Final = {"review": _("À relire"), "refuse": _("Écartée")}


def text(code: str, *, language: Language) -> str:
    """Return the reason in words; the code itself when no table knows it."""
    try:
        return str(_table().message(code, language))
    except (ImportError, LookupError, ValueError):
        return code


@cache
def _table() -> Any:
    return importlib.import_module("groundglass.deid.reasons")
