"""Profiles: what a collection keeps, as readable TOML. The named ones are frozen and known by their hash."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, get_args

from groundglass.deid.dates import Mode
from groundglass.errors import UsageError

NAMED = ("fidac-anonyme", "recherche-pseudonyme")
KEEPABLE = frozenset({"size", "smoking", "pregnancy", "zone", "serial"})
# Annex E options that a profile may claim: the engine does what they ask. Face checks and retained identities are not
# among them (docs/decisions/0011).
OPTIONS = {
    "113101": "Clean Pixel Data Option",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
}
_KEYS = {
    "id", "version", "summary_fr", "summary_en", "options", "patient_prefix", "dates", "shift_days", "age_band",
    "head", "accession", "trial", "keep",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile. `sha256` is that of its TOML text; `keep` are values of the tables' column `needs`."""

    id: str
    version: str
    sha256: str
    summary_fr: str
    summary_en: str
    options: tuple[str, ...]
    patient_prefix: str
    dates: Mode
    shift_days: int
    age_band: int
    head: Literal["refuse", "review"]
    accession: Literal["empty", "keyed"]
    trial: bool
    keep: frozenset[str]


def load(name_or_toml: str) -> Profile:
    """The named profile, or the one written in TOML text. UsageError says what is wrong with it."""
    if name_or_toml in NAMED:
        text = files("groundglass.deid").joinpath("profiles", f"{name_or_toml}.toml").read_text("utf-8")
    elif "=" in name_or_toml:
        text = name_or_toml
    else:
        raise UsageError(f"no such profile; there are {', '.join(NAMED)}, or a TOML file")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the profile is not TOML: {error}") from None
    return _checked(values, hashlib.sha256(text.encode()).hexdigest())


def _checked(values: dict[str, Any], sha256: str) -> Profile:
    if values.keys() != _KEYS:
        raise UsageError(f"profile: missing or unknown keys: {', '.join(sorted(values.keys() ^ _KEYS))}")
    faults = [name for name, good in _conditions(values).items() if not good]
    if faults:
        raise UsageError(f"profile: not valid: {', '.join(faults)}")
    values = {**values, "options": tuple(values["options"]), "keep": frozenset(values["keep"])}
    return Profile(sha256=sha256, **values)


def _conditions(values: dict[str, Any]) -> dict[str, bool]:
    prefix = values["patient_prefix"]
    return {
        **{
            name: isinstance(values[name], str) and 0 < len(values[name]) <= 200 and values[name].isprintable()
            for name in ("id", "version", "summary_fr", "summary_en")
        },
        "id and version": len(f"{values['id']} {values['version']}") <= 40 and str(values["id"]).isascii(),
        "options": isinstance(values["options"], list) and set(values["options"]) <= OPTIONS.keys(),
        "patient_prefix": isinstance(prefix, str)
        and len(prefix) <= 12
        and all(c.isupper() or c.isdigit() or c == "-" for c in prefix)
        and prefix.isascii(),
        "dates": values["dates"] in get_args(Mode),
        "shift_days": type(values["shift_days"]) is int and 30 <= values["shift_days"] <= 36_500,
        "age_band": values["age_band"] in (1, 5, 10) and type(values["age_band"]) is int,
        "head": values["head"] in ("refuse", "review"),
        "accession": values["accession"] in ("empty", "keyed"),
        "trial": isinstance(values["trial"], bool),
        "keep": isinstance(values["keep"], list) and set(values["keep"]) <= KEEPABLE,
    }
