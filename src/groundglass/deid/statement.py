"""What each object says about its own de-identification (PS3.15 E.1.1, PS3.3 C.7.1.1, C.12.1)."""

from __future__ import annotations

from groundglass import __version__
from groundglass.deid.elements import code_item, element, sequence
from groundglass.deid.identifiers import Keys
from groundglass.deid.profile import OPTIONS, Profile


def elements(profile: Profile, keys: Keys, subject: str) -> dict[int, bytes]:
    """The statement's elements by tag; those of the programme (group 0012) where the profile asks for them."""
    method = [
        f"groundglass {__version__}",
        f"{profile.id} {profile.version}",
        "DICOM PS3.15 2026c",
        f"sha256 {profile.sha256[:16]}",
    ]
    codes = [("113100", "Basic Application Confidentiality Profile"), *((c, OPTIONS[c]) for c in profile.options)]
    found = {
        0x00120062: element(0x00120062, "CS", b"YES"),
        0x00120063: element(0x00120063, "LO", "\\".join(method).encode()),
        0x00120064: sequence(0x00120064, [code_item("DCM", code, meaning) for code, meaning in sorted(codes)]),
        0x00280303: element(0x00280303, "CS", b"MODIFIED"),
    }
    if "113101" in profile.options:
        found[0x00280301] = element(0x00280301, "CS", b"NO")  # PS3.15 E.3.1; what the triage doubts never gets here
    if profile.trial:
        found |= _trial(keys, subject)
    return found


def _trial(keys: Keys, subject: str) -> dict[int, bytes]:
    values = {
        0x00120010: "groundglass",
        0x00120020: keys.collection,
        0x00120021: "",
        0x00120030: keys.centre,
        0x00120031: "",
        0x00120040: subject,
    }
    return {tag: element(tag, "LO", value.encode()[:64]) for tag, value in values.items()}
