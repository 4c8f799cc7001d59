"""Made-up people who cannot be taken for real ones.

Names come from a short list of inventions with everything that French names do to software (accents, œ, particles,
hyphens, apostrophes). Numbers are invalid by construction: a NIR of month 13 whose key is wrong, telephone numbers of
the ranges that ARCEP reserves for fiction, mail below example.org (RFC 2606).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

FAMILIES = (
    "Ploufenbulle",
    "Œufdecoq",
    "de la Tourneboulière",
    "d'Écumelune",
    "Brindezinc-Gloubi",
    "Zinzolïn-Éther",
    "Von Quenelle-Fictive",
    "Gribouillœil",
    "Le Fantôchard",
    "Chafouinardeau",
    "Nulpart-d'Ailleurs",
    "Çavapaçavapoff",
)
GIVEN = (
    "Zéphyrinette",
    "Barnabulle",
    "Œdipine",
    "Anatolinou",
    "Clochembrette",
    "Jean-Fictif",
    "Ursuléonie",
    "Gontranelle",
    "Pimprelunette",
    "Théodulfin",
)
STREETS = ("impasse du Nulle-Part", "rue de la Pure-Fiction", "quai des Faux-Semblants", "allée du Bas-Bidonneau")
TOWNS = ("Trifouilly-les-Essais", "Bidonbourg-sur-Phantôme", "Saint-Factice-l'Éprouvette")
PHONE_RANGES = ("01 99 00", "02 61 91", "03 53 01", "04 65 71", "05 36 49", "06 39 98")


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up patient with the staff around one examination, as a hospital would know them."""

    family: str
    given: str
    birth_name: str
    birth_date: str
    sex: str
    ipp: str
    nir: str
    accession: str
    order: str
    street: str
    town: str
    phone: str
    mail: str
    mother: str
    referrer: str
    radiologist: str
    operator: str

    @property
    def dicom_name(self) -> str:
        """The name as in (0010,0010): family^given, upper case as most French hospitals write it."""
        return f"{self.family.upper()}^{self.given.upper()}"

    def token(self, where: str) -> str:
        """Return ten capitals and digits that only this person has, at only this place: it says what leaked where."""
        digest = hashlib.sha256(f"{self.ipp}\0{where}".encode()).digest()
        letters = "BCDFGHJKMNPQRSTVWXZ23456789"
        return "ZQ" + "".join(letters[byte % len(letters)] for byte in digest[:8])

    def number(self, where: str, digits: int = 9) -> str:
        """Return digits that only this person has, at only this place, not starting with 0."""
        value = int.from_bytes(hashlib.sha256(f"{self.ipp}\1{where}".encode()).digest()[:8], "big")
        return str(9 * 10 ** (digits - 1) + value % 10 ** (digits - 1))


def person(seed: int) -> Person:
    """Return the person of a seed; the same seed gives the same person, other seeds other numbers."""
    random = Random(f"person {seed}")  # noqa: S311  (test data, reproducible by design)
    family, given = random.choice(FAMILIES), random.choice(GIVEN)
    sex = random.choice("FM")
    born = f"{random.randint(1931, 1999)}{random.randint(1, 12):02}{random.randint(1, 28):02}"
    address = ascii_folded(f"{given}.{family}").replace(" ", "").replace("'", "")
    return Person(
        family=family,
        given=given,
        birth_name=random.choice(FAMILIES),
        birth_date=born,
        sex=sex,
        ipp=f"XF{random.randint(0, 10**8 - 1):08}",
        nir=nir(random, sex=sex, year=born[2:4]),
        accession=f"ACC{random.randint(10**8, 10**9 - 1)}",
        order=f"RDV{random.randint(10**7, 10**8 - 1)}",
        street=f"{random.randint(1, 97)} bis {random.choice(STREETS)}",
        town=f"00000 {random.choice(TOWNS)}",
        phone=f"{random.choice(PHONE_RANGES)} {random.randint(0, 99):02} {random.randint(0, 99):02}",
        mail=f"{address}.{seed}@patients.example.org".lower(),
        mother=f"{random.choice(FAMILIES)}^{random.choice(GIVEN)}",
        referrer=f"{random.choice(FAMILIES)}^{random.choice(GIVEN)}^^Dr",
        radiologist=f"{random.choice(FAMILIES)}^{random.choice(GIVEN)}^^Pr",
        operator=f"{random.choice(FAMILIES)}^{random.choice(GIVEN)}",
    )


def nir(random: Random, *, sex: str, year: str) -> str:
    """Return 15 digits that look like a French social security number and cannot be one: month 13 and a wrong key."""
    number = f"{1 if sex == 'M' else 2}{year}1399{random.randint(900, 999)}{random.randint(1, 999):03}"
    right = 97 - int(number) % 97
    return f"{number}{right % 97 + 1:02}"


def ascii_folded(text: str) -> str:
    """Return `text` without accents and ligatures, as identifiers and mail addresses spell names."""
    plain = text.replace("œ", "oe").replace("Œ", "OE")
    return unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode("ascii")


def known_by(person: Person) -> Iterator[str]:
    """Yield every text that identifies a person: what no log, index or released file may hold.

    Particles and words of fewer than six letters are left out: alone they identify nobody.
    """
    people = (person.family, person.given, person.birth_name, person.mother, person.referrer)
    for name in (*people, person.radiologist, person.operator):
        yield from (part for part in name.replace("^", " ").split() if len(part) >= 6)
    yield from (person.ipp, person.nir, person.accession, person.order, person.street, person.phone, person.mail)
    yield from (person.birth_date, person.dicom_name, person.town.partition(" ")[2])
