"""Keyed identifiers: without the key no output is computable from any input (docs/decisions/0012).

Everything is HMAC-SHA-256 under a key of its own purpose, derived by HKDF (RFC 5869) from one master per
(collection, centre). Standard library only: the same bytes in CPython and in Pyodide.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PLACEHOLDERS = frozenset(
    [
        "ANON",
        "ANONYM",
        "ANONYME",
        "ANONYMISE",
        "ANONYMIZED",
        "ANONYMOUS",
        "DEFAULT",
        "DUMMY",
        "EMPTY",
        "INCONNU",
        "INCONNUE",
        "INDEFINI",
        "NA",
        "N/A",
        "NAN",
        "NIL",
        "NONE",
        "NOID",
        "NONAME",
        "NOT-SET",
        "NOTSET",
        "NULL",
        "PATIENT",
        "PATIENTID",
        "SANS",
        "TBD",
        "TEST",
        "UNDEFINED",
        "UNKNOWN",
        "UNKNOWNID",
        "VIDE",
        "X",
    ]
)
_NOT_SIGNIFICANT = re.compile(r"[\W_]+")
_VALID_UID = re.compile(rb"[0-9.]{1,64}")


def _hkdf(master: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256 and one block of output."""
    extracted = hmac.digest(salt, master, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


@dataclass(frozen=True, slots=True)
class Keys:
    """The domain keys of one (collection, centre). `repr` shows no key."""

    collection: str
    centre: str
    uid: bytes = field(repr=False)
    patient: bytes = field(repr=False)
    accession: bytes = field(repr=False)
    device: bytes = field(repr=False)
    date: bytes = field(repr=False)
    number: bytes = field(repr=False)
    report: bytes = field(repr=False)

    @classmethod
    def derive(cls, master: bytes, *, collection: str, centre: str) -> Keys:
        """Derive every domain key from a 32-byte master. ValueError when the master has another length."""
        if len(master) != 32:
            raise ValueError("the master key has 32 bytes")
        salt = hashlib.sha256(collection.encode() + b"\x00" + centre.encode()).digest()
        domains = ("uid", "patient", "accession", "device", "date", "number", "report")
        keys = [_hkdf(bytes(master), salt, b"groundglass/deid/1/" + domain.encode()) for domain in domains]
        return cls(collection, centre, *keys)


def is_uid(value: bytes) -> bool:
    """At most 64 digits and dots. Leading zeros are seen in practice and harm nothing: the UID is replaced."""
    return _VALID_UID.fullmatch(value) is not None


def new_uid(key: bytes, uid: bytes) -> bytes:
    """The keyed UID under 2.25: 128 bits of the HMAC with the version 8 and variant bits of RFC 9562.

    Any bytes are accepted: what is not a UID is hashed as it stands.
    """
    number = int.from_bytes(hmac.digest(key, uid.rstrip(b"\x00 "), "sha256")[:16], "big")
    number = number & ~(0xF << 76) | (8 << 76)
    number = number & ~(0x3 << 62) | (2 << 62)
    return b"2.25.%d" % number


def crockford(data: bytes, characters: int) -> str:
    """The first `characters` x 5 bits of `data` in Crockford's base 32."""
    bits = int.from_bytes(data, "big") >> (len(data) * 8 - characters * 5)
    return "".join(_CROCKFORD[bits >> (5 * place) & 31] for place in reversed(range(characters)))


def normal_id(patient_id: str) -> str:
    """Trimmed, upper case, inner spaces gone; leading zeros stay."""
    return "".join(patient_id.upper().split())


def is_placeholder(patient_id: str) -> bool:
    """Whether the id names nobody: strangers who share it would become one person."""
    significant = _NOT_SIGNIFICANT.sub("", normal_id(patient_id))
    return len(set(significant)) <= 1 or significant in _PLACEHOLDERS or normal_id(patient_id) in _PLACEHOLDERS


def patient_key(issuer: str, patient_id: str) -> bytes:
    """What names the person: the input of the pseudonym and of the date shift."""
    return normal_id(issuer).encode() + b"\x1f" + normal_id(patient_id).encode()


def pseudonym(keys: Keys, person: bytes, *, prefix: str) -> str:
    return prefix + crockford(hmac.digest(keys.patient, person, "sha256"), 16)


def accession(keys: Keys, value: str) -> str:
    """16 characters, the most that SH holds."""
    return crockford(hmac.digest(keys.accession, normal_id(value).encode(), "sha256"), 16)


def device(keys: Keys, manufacturer: str, serial: str) -> str:
    """A surrogate of the serial number, so that scanner effects stay modellable."""
    value = normal_id(manufacturer).encode() + b"\x1f" + normal_id(serial).encode()
    return crockford(hmac.digest(keys.device, value, "sha256"), 16)


def small_number(keys: Keys, value: bytes) -> int:
    """A keyed number of five digits for one that is too long to be only a rank."""
    return 10_000 + int.from_bytes(hmac.digest(keys.number, value, "sha256")[:8], "big") % 90_000
