"""Which headers are too risky to pass without a look at the pixels (docs/reference/deidentification.md, triage).

BurnedInAnnotation = NO is never believed: real screens with text carry it, or nothing.
"""

from __future__ import annotations

import re

from groundglass.deid.seeds import fold

_RISKY_TYPES = frozenset(
    ["SECONDARY", "DERIVED", "SCREEN SAVE", "DOSE", "VOLREN", "OTHER", "LOCALIZER", "SCREEN", "REPORT", "CAPTURE"]
)
# A dose screen, but not a low-dose acquisition.
_RISKY_WORDS = re.compile(
    r"\b(?:report|rapport|capture|film|screen ?save|screenshot|patient protocol"
    r"|dose (?:report|info|summary|record|sheet)|(?:rapport|fiche|releve) (?:de )?dose|exam protocol)\b"
)
_HEAD_PARTS = frozenset(["HEAD", "BRAIN", "SKULL", "FACE", "ORBIT", "SINUS", "HEADNECK", "EAR", "JAW"])


def burned_in(facts: dict[str, str]) -> bool:
    """Whether the header lets text in the pixels be expected. `facts`: keyword to text, absent when absent."""
    kinds = [kind.strip().upper() for kind in facts.get("ImageType", "").split("\\")]
    return (
        kinds[:2] != ["ORIGINAL", "PRIMARY"]
        or any(kind in _RISKY_TYPES or "DOSE" in kind.split() for kind in kinds)
        or (len(kinds) > 2 and kinds[2] not in ("AXIAL", "HELICAL"))
        or facts.get("BurnedInAnnotation", "").strip().upper() == "YES"
        or bool(facts.get("ConversionType", "").strip())
        or facts.get("PhotometricInterpretation", "").strip() != "MONOCHROME2"
        or _RISKY_WORDS.search(fold(" ".join(facts.get(k, "") for k in ("SeriesDescription", "StudyDescription"))))
        is not None
    )


def is_head(facts: dict[str, str]) -> bool:
    return facts.get("BodyPartExamined", "").strip().upper() in _HEAD_PARTS


TEXTS = {
    "ABDOMEN": "TDM ABDOMEN", "ABDOMENPELVIS": "TDM ABDOMEN PELVIS", "PELVIS": "TDM PELVIS", "NECK": "TDM COU",
    "CHESTABDOMEN": "TDM THORAX ABDOMEN", "CHESTABDPELVIS": "TDM THORAX ABDOMEN PELVIS",
    "NECKCHEST": "TDM COU THORAX", "NECKCHESTABDOMEN": "TDM COU THORAX ABDOMEN",
    "NECKCHESTABDPELV": "TDM COU THORAX ABDOMEN PELVIS", "HEAD": "TDM TETE", "BRAIN": "TDM TETE",
    "SPINE": "TDM RACHIS", "LSPINE": "TDM RACHIS", "TSPINE": "TDM RACHIS", "CSPINE": "TDM RACHIS",
}  # fmt: skip


def fixed_text(facts: dict[str, str]) -> str:
    """What a description says instead of its text: modality and body part."""
    return TEXTS.get(facts.get("BodyPartExamined", "").strip().upper(), "TDM THORAX")
