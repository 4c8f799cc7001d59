"""Passwords: what may be one, and how it is kept (security.md S2: ASVS 5.0 6.2, CNIL 2022)."""

from __future__ import annotations

import re
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from groundglass.errors import UsageError

SHORTEST: Final = 15
SHORTEST_OF_ADMIN: Final = 16
LONGEST: Final = 256
_GUESSABLE_REST = 8  # characters that must remain once everything well known is taken out
_DISTINCT = 6
_LEGIBLE = "abcdefghijkmnpqrstuvwxyz23456789"

_hasher = PasswordHasher(time_cost=2, memory_cost=48 * 1024, parallelism=1)  # 48 MiB

# Of a password that nobody knows, with the parameters above: an unknown account costs what a known one does.
UNKNOWN: Final = "$argon2id$v=19$m=49152,t=2,p=1$JT95QVxx5hmCUjm9OnIf5w$K5QcxSPgZGG8cJ1asq8Df4OCJk473DTN42XXeguLFnQ"

_COMMON = (
    *("password", "passw0rd", "p@ssw0rd", "motdepasse", "mot de passe", "motdepass", "secret", "administrateur"),
    *("administrator", "admin", "bonjour", "welcome", "bienvenue", "letmein", "iloveyou", "jetaime", "changeme"),
    *("qwertyuiop", "azertyuiop", "qwerty", "azerty", "qsdfghjklm", "asdfghjkl", "wxcvbn", "zxcvbnm", "soleil"),
    *("abcdefghijklmnopqrstuvwxyz", "abcdefgh", "abcdef", "12345678901234567890", "123456789", "12345678", "123456"),
    *("9876543210", "987654321", "doudou", "marseille", "football", "princess", "dragon", "monkey", "sunshine"),
    *("groundglass", "verre depoli", "verredepoli", "radiologie", "radiology", "scanner", "hopital", "hospital"),
    *("covid", "fidac", "registre", "registry", "thorax", "poumon", "dicom", "2019", "2020", "2021", "france"),
)


def check(password: str, *, name: str, admin: bool) -> None:
    """Raise UsageError, saying what to do, if this may not be the password of the account `name`."""
    shortest = SHORTEST_OF_ADMIN if admin else SHORTEST
    if not shortest <= len(password) <= LONGEST:
        raise UsageError(f"a password has {shortest} to {LONGEST} characters: several words make a good one")
    rest = password.casefold()
    for word in sorted({*_COMMON, name.casefold()}, key=len, reverse=True):
        rest = rest.replace(word, "")
    rest = re.sub(r"(.)\1{2,}", r"\1", rest)
    if len(rest) < _GUESSABLE_REST or len(set(rest)) < _DISTINCT:
        raise UsageError("this password is made of what everybody tries first: choose several unrelated words")


def hashed(password: str) -> str:
    """Return the argon2id hash to keep."""
    return _hasher.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Compare, in the same time whether a hash is kept or not."""
    try:
        good = _hasher.verify(kept or UNKNOWN, password[: LONGEST + 1])
    except (VerifyMismatchError, InvalidHashError):
        return False
    return good and kept is not None


def is_outdated(kept: str) -> bool:
    """Tell whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(kept)


def generated() -> str:
    """Return a new password of 125 random bits, without letters that look alike."""
    return "-".join("".join(secrets.choice(_LEGIBLE) for _ in range(5)) for _ in range(5))
