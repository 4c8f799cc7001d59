"""What becomes of one value: kept as it is, rewritten, emptied or removed. Each returns the new value or None.

A value is never trusted because of its tag: every one is checked against its VR, and text against its vocabulary.
"""

from __future__ import annotations

import re

from groundglass.deid import identifiers, standard
from groundglass.deid.identifiers import Keys
from groundglass.deid.seeds import fold
from groundglass.deid.standard import Rule

_NUMBER = re.compile(rb" *[+-]?(?:(\d+)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})? *")
_INTEGER = re.compile(rb" *[+-]?(\d{1,12}) *")
_SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4}
_MOST_BYTES = 128  # of a binary number: more could hold text
_MOST_VALUES = 16
_MOST_DIGITS = 8  # of a text value: a telephone number has more
# A form that names no one: number with unit, kernel or filter, version. Fixed quantifiers: linear.
_FORMS = re.compile(
    r"[+-]?\d{1,4}(?:[.,]\d{1,4})?(?:%|mm|cm|kv|ma|s|ml|cc|mg|g|mgi/ml|x)?"
    r"|\d{1,4}x\d{1,4}(?:[.,]\d{1,4})?(?:mm)?"
    r"|[a-z]{1,2}\d{1,3}[a-z]{0,2}"
    r"|[vr]?\d{1,2}(?:[._]\d{1,3}){1,4}[a-z]{0,2}\d{0,3}"
    r"|[a-z]{2,3}_[a-z]{2,4}\.\d{1,2}"
    r"|20[012]\d[a-z]"
)
_SEPARATORS = re.compile(r"[\s_/,;:()+&.\-]+")
# The integers that may be longer than five digits.
_WIDE = frozenset({"ExposureInuAs"})


# Nearly every decimal string in one look: up to 16 values of up to 16 characters, five digits before the point.
_PART = rb"(?=[^\\]{0,16}(?:\\|$)) *[+-]?0{0,15}(?:\d{1,5}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})? *"
_USUAL = re.compile(_PART + rb"(?:\\" + _PART + rb"){0,15}")


def usual(value: bytes) -> bool:
    """Whether a DS value is certainly good as it stands; False decides nothing."""
    return _USUAL.fullmatch(value) is not None


def numbers(rule: Rule, value: bytes, vr: str) -> bytes | None:
    """DS, IS and the binary numbers: valid, few, and too short to be an identifier (else None)."""
    size = _SIZES.get(vr)
    if size is not None:
        return value if len(value) % size == 0 and len(value) <= _MOST_BYTES else None
    pattern = _NUMBER if vr == "DS" else _INTEGER
    parts = value.rstrip(b"\0").split(b"\\")
    most = 7 if rule.keyword in _WIDE else 5
    if len(parts) > _MOST_VALUES:
        return None
    for part in parts:
        found = pattern.fullmatch(part)
        if part.strip(b" ") and (found is None or len(part) > 16 or len((found[1] or b"").lstrip(b"0")) > most):
            return None
    return value.rstrip(b"\0")


def term(rule: Rule, text: str) -> bytes | None:
    """The values that are on the attribute's list; the others go. An empty one stays empty."""
    allowed = standard.terms()[rule.keyword]
    values = [value.strip(" \0").upper() for value in text.split("\\")]
    if values == [""]:
        return b""
    kept = [value for value in values if value in allowed]
    if rule.keyword == "PatientOrientation" and len(kept) != len(values):
        return None
    return "\\".join(kept).encode() or None


def words(rule: Rule, text: str, seeds: frozenset[str]) -> bytes | None:
    """The words that are on the attribute's list or have the form of a number or kernel, less what names someone."""
    allowed = standard.terms()[rule.keyword]

    if sum(map(str.isdigit, text)) > _MOST_DIGITS * (text.count("\\") + 1):
        return None

    def passes(token: str) -> bool:
        plain = fold(token)
        compact = _SEPARATORS.sub("", plain)
        if compact in seeds:
            return False
        return plain in allowed or token.casefold() in allowed or _FORMS.fullmatch(plain) is not None

    values = []
    for value in text.split("\\")[:_MOST_VALUES]:
        tokens = value.strip(" \0").split()
        kept = [
            t for t in tokens if passes(t) or (all(passes(p) for p in _SEPARATORS.split(t) if p) and t.isprintable())
        ]
        if _SEPARATORS.sub("", fold("".join(kept))) not in seeds:
            values.append(" ".join(kept)[:64])
    while values and not values[-1]:
        values.pop()
    if text.strip(" \0") == "":
        return b""
    return "\\".join(values).encode() or None


def uid(value: bytes, keys: Keys) -> bytes:
    """Every UID anew, but those of the standard; several values each on its own."""
    stays = standard.registry_uids()
    values = [one.strip(b"\0 ") for one in value.split(b"\\")]
    return b"\\".join(one if one in stays or not one else identifiers.new_uid(keys.uid, one) for one in values)


def sop_class(value: bytes) -> bytes | None:
    plain = value.strip(b"\0 ")
    return plain if plain in standard.sop_classes() else None


def number(value: bytes, keys: Keys) -> bytes | None:
    """A series, acquisition or instance number: up to five digits as it is, longer ones replaced by a keyed one."""
    plain = value.rstrip(b"\0").strip(b" ")
    found = _INTEGER.fullmatch(plain)
    if not plain:
        return b""
    if found is None:
        return None
    if len(found[1].lstrip(b"0")) <= 5:
        return value.rstrip(b"\0")
    return b"%d" % identifiers.small_number(keys, plain)
