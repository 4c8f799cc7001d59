"""What the header says about who it is, folded: the verifier searches every output for it, the words leave it out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Attributes that tell who, where or by whom, at any depth. PN values count everywhere in explicit VR.
PERSON = frozenset({
    0x00080090, 0x0008009C, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00100010, 0x00101001, 0x00101005,
    0x00101060, 0x00102297, 0x00321032, 0x00321033, 0x00400006, 0x0040A075, 0x0040A123, 0x00402010, 0x00402008,
    0x00402009, 0x00700084, 0x30060F0A, 0x300E0008, 0x00181400,
})  # fmt: skip
IDENTIFIER = frozenset({
    0x00080050, 0x00100020, 0x00100021, 0x00100030, 0x00100050, 0x00101000, 0x00101040, 0x00101090, 0x00102154,
    0x00102155, 0x00102299, 0x00181000, 0x00181004, 0x00181005, 0x00181007, 0x00181008, 0x00200010, 0x00321000,
    0x00380010, 0x00380060, 0x00400009, 0x00400253, 0x00401001, 0x00402016, 0x00402017, 0x00401400, 0x00120040,
    0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00080054, 0x00080055, 0x00400241, 0x00400242, 0x00400243,
    0x00080092, 0x00080094, 0x00102150, 0x00102152, 0x00100033, 0x00380300, 0x00380400, 0x00401010, 0x0040A124,
})  # fmt: skip
SEQUENCES = frozenset({
    0x00080051, 0x00080096, 0x00081049, 0x00081052, 0x00081062, 0x00081072, 0x00100024, 0x00100026, 0x00100027,
    0x00100101, 0x00100102, 0x00101002, 0x00101100, 0x00400100, 0x00400275, 0x00401101, 0x0040A073, 0x04000550,
    0x04000561, 0x0018A001, 0x0040A730, 0x00321064, 0x00400555,
})  # fmt: skip
IDENTITY = PERSON | IDENTIFIER | SEQUENCES
# Words of what we write ourselves: they tell nothing about the input.
_OWN = frozenset(
    [
        "anonyme",
        "thorax",
        "tdm",
        "tete",
        "cou",
        "abdomen",
        "pelvis",
        "rachis",
        "ct",
        "chest",
        "primary",
        "original",
        "axial",
        "derived",
        "modified",
        "groundglass",
    ]
)
_PARTICLES = frozenset(
    ["de", "du", "la", "le", "les", "des", "van", "von", "den", "ben", "el", "al", "di", "da", "dos", "del", "saint"]
)
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "’": "'", "ø": "o", "đ": "d", "ł": "l"})
_WORDS = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Case, accents, ligatures and typographic marks gone."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LIGATURES))
    return "".join(c for c in plain if not unicodedata.combining(c))


def words_of(text: str) -> list[str]:
    return _WORDS.findall(fold(text))


def collect(values: Iterable[tuple[int, str]], known: frozenset[str] = frozenset()) -> tuple[bytes, ...]:
    """Folded seeds, sorted: name parts of 3 letters, other words of 4, ids whole; digits alone from 6.

    Words in `known` count only in names of persons: a station may be called like its scanner.
    """
    seeds: set[str] = set()
    for tag, text in values:
        words = words_of(text)
        if tag in IDENTIFIER:
            words = words if any(word not in known for word in words) else []
            seeds.add("".join(words))
            words = [word for word in words if word not in known]
        seeds.add("".join(words))
        if tag not in IDENTIFIER:
            seeds.update(word for word in words if len(word) >= 3)
        elif tag in (0x00080080, 0x00080081, 0x00081040, 0x00101040):
            seeds.update(word for word in words if len(word) >= 4 and not word.isdigit())
        else:
            seeds.update(word for word in words if len(word) >= 5)
    kept = {s for s in seeds if len(s) >= (6 if s.isdigit() else 3) and s not in _OWN and s not in _PARTICLES}
    return tuple(sorted(seed.encode() for seed in kept if len(set(seed)) > 1))
