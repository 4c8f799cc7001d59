"""Everything about one patient's study that decides values, and the decisions already taken with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from groundglass.deid import actions, charset, dates, encoding, identifiers, seeds, sequences, statement, stream, triage
from groundglass.deid.elements import element
from groundglass.deid.identifiers import Keys
from groundglass.deid.profile import OPTIONS, Profile
from groundglass.deid.standard import CT_IMAGE, Rule, code_meanings, terms

Grade = Literal["review", "refuse"]
_MOST_DECISIONS = 20_000
_TEXTS = {"StudyDescription": 0x00081030, "SeriesDescription": 0x0008103E, "ProtocolName": 0x00181030}
# What the context wants to know of the header beside who it is about.
FACTS = {
    0x00080005: "SpecificCharacterSet", 0x00080008: "ImageType", 0x00080016: "SOPClassUID", 0x00080020: "StudyDate",
    0x00080030: "StudyTime", 0x00080060: "Modality", 0x00080064: "ConversionType", 0x00080070: "Manufacturer",
    0x00080201: "TimezoneOffsetFromUTC", 0x00081030: "StudyDescription", 0x0008103E: "SeriesDescription",
    0x00100040: "PatientSex", 0x00101010: "PatientAge", 0x00180015: "BodyPartExamined", 0x00181030: "ProtocolName",
    0x00280301: "BurnedInAnnotation", 0x00280002: "SamplesPerPixel", 0x00280004: "PhotometricInterpretation",
    0x00280008: "NumberOfFrames", 0x00280010: "Rows", 0x00280011: "Columns", 0x00280100: "BitsAllocated",
    0x00280101: "BitsStored", 0x00280102: "HighBit", 0x00280103: "PixelRepresentation",
    0x00080050: "AccessionNumber", 0x00100010: "PatientName", 0x00100020: "PatientID", 0x00100021: "IssuerOfPatientID",
    0x00100030: "PatientBirthDate", 0x00181000: "DeviceSerialNumber",
}  # fmt: skip
_BINARY = frozenset({
    "SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why an object does not pass: a code of reasons.py. It stays in the identified zone."""

    code: str
    grade: Grade


class Context(dict["bytes | tuple[bytes, bytes, int]", "bytes | Rejected"]):
    """Raw element (or date, time, which half) to what is written: `context[raw]` decides once.

    `rejected` says that no object with these marks passes. `inserts` are the elements we write, by tag.
    """

    __slots__ = (
        "_clock", "_codec", "_implicit", "_keys", "_profile", "_rules", "_words", "inserts", "layouts",
        "patient_id", "rejected", "seeds", "shape", "signed",
    )  # fmt: skip

    def __init__(
        self,
        marks: tuple[bytes | stream.Inner, ...],
        *,
        profile: Profile,
        keys: Keys,
        rules: Mapping[int, Rule],
        implicit: bool,
    ) -> None:
        super().__init__()
        self._profile, self._keys, self._rules, self._implicit = profile, keys, rules, implicit
        self.layouts: dict[tuple[int, ...], object] = {}
        self.inserts: dict[int, bytes] = {}
        values = list(_values(marks, implicit))
        facts, identity = self._read(values)
        named = seeds.collect(identity, vocabulary())
        self._words = frozenset(seed.decode() for seed in named)
        # A word that we may write anyway tells nothing when the verifier finds it.
        own = vocabulary() | set(
            seeds.words_of(f"{keys.collection} {keys.centre} {profile.patient_prefix} {profile.id} {profile.version}")
        )
        self.seeds = tuple(seed for seed in named if seed.decode() not in own)
        self.shape = _shape(facts)
        self.signed = facts.get("PixelRepresentation") == "1"
        self.rejected = self._reject(facts, values)
        self.patient_id = ""
        if self.rejected is None:
            self._identify(facts)

    def __missing__(self, key: bytes | tuple[bytes, bytes, int]) -> bytes | Rejected:
        if len(self) > _MOST_DECISIONS:
            self.clear()
        decided = self._pair(*key) if isinstance(key, tuple) else self._decide(key)
        self[key] = decided
        return decided

    def _read(self, values: list[tuple[int, bytes, bool]]) -> tuple[dict[str, str], list[tuple[int, str]]]:
        declared = next((value for tag, value, top in values if tag == 0x00080005 and top), b"")
        self._codec = charset.codec(declared.decode("ascii", "replace").strip(" \0"))
        facts: dict[str, str] = {}
        identity: list[tuple[int, str]] = []
        for tag, value, top in values:
            name = FACTS.get(tag) if top else None
            if name in _BINARY:
                facts[name] = str(int.from_bytes(value, "little")) if len(value) == 2 else ""
                continue
            text, _ = charset.decode(value[:1024], self._codec)
            if name is not None:
                facts[name] = text.strip(" \0")
                if name in ("PatientID", "IssuerOfPatientID") and self._codec is None and not value.isascii():
                    facts["charset"] = "unknown"
            if name is None or tag in seeds.IDENTITY:
                identity.append((tag, text))
        return facts, identity

    def _reject(self, facts: dict[str, str], values: list[tuple[int, bytes, bool]]) -> Rejected | None:
        if facts.get("SOPClassUID") != CT_IMAGE or facts.get("Modality", "CT") != "CT":
            return Rejected("sop_class_unknown", "refuse")
        if not self.shape:
            return Rejected("conformance", "review")
        rows, columns, samples, bits, frames = self.shape
        overlay = any(tag & 0xFF01FFFF == 0x60000102 and value.strip(b"\0") for tag, value, top in values if top)
        if rows != columns or samples != 1 or bits != 16 or frames != 1 or overlay or triage.burned_in(facts):
            return Rejected("burned_in_text", "review")
        if triage.is_head(facts):
            return Rejected("face", self._profile.head)
        if facts.get("charset"):
            return Rejected("charset", "review")
        if identifiers.is_placeholder(facts.get("PatientID", "")):
            return Rejected("placeholder_id", "review")
        return None

    def _identify(self, facts: dict[str, str]) -> None:
        profile, keys = self._profile, self._keys
        person = identifiers.patient_key(facts.get("IssuerOfPatientID", ""), facts["PatientID"])
        self.patient_id = identifiers.pseudonym(keys, person, prefix=profile.patient_prefix)
        self._clock = dates.clock(
            profile.dates,
            days=dates.shift_days(keys, person, most=profile.shift_days),
            study_time=facts.get("StudyTime", ""),
            zone=facts.get("TimezoneOffsetFromUTC", ""),
            keep_zone="zone" in profile.keep,
        )
        texts = {
            0x00080005: ("CS", "ISO_IR 192"),
            0x00080050: ("SH", self._accession(facts)),
            0x00080090: ("PN", ""),
            0x00100010: ("PN", self.patient_id),
            0x00100020: ("LO", self.patient_id),
            0x00100030: ("DA", ""),
            0x00100040: ("CS", facts["PatientSex"] if facts.get("PatientSex") in ("M", "F", "O") else ""),
            0x00200010: ("SH", ""),
            **{tag: ("LO", triage.fixed_text(facts)) for name, tag in _TEXTS.items() if facts.get(name)},
            **self._optional(facts),
        }
        self.inserts = {tag: element(tag, vr, text.encode()) for tag, (vr, text) in texts.items()}
        self.inserts |= statement.elements(profile, keys, self.patient_id)

    def _optional(self, facts: dict[str, str]) -> dict[int, tuple[str, str]]:
        found: dict[int, tuple[str, str]] = {}
        years = dates.age_in_years(
            facts.get("PatientAge", ""), facts.get("PatientBirthDate", ""), facts.get("StudyDate", "")
        )
        if years is not None:
            found[0x00101010] = ("AS", dates.age_string(years, band=self._profile.age_band))
        zone = facts.get("TimezoneOffsetFromUTC", "")
        if "zone" in self._profile.keep and dates.is_zone(zone):
            found[0x00080201] = ("SH", zone)
        serial = facts.get("DeviceSerialNumber", "")
        if "serial" in self._profile.keep and serial:
            found[0x00181000] = ("LO", identifiers.device(self._keys, facts.get("Manufacturer", ""), serial))
        return found

    def _accession(self, facts: dict[str, str]) -> str:
        value = facts.get("AccessionNumber", "")
        keyed = value and self._profile.accession == "keyed"
        return identifiers.accession(self._keys, value) if keyed else ""

    def _pair(self, da: bytes, tm: bytes, half: int) -> bytes:
        """A date and its time are one instant; `half` 0 is the date, 1 the time. The other half is decided with it."""
        tag_da, _, date = encoding.value_of(da, self._implicit)
        tag_tm, _, time = encoding.value_of(tm, self._implicit)
        moved = self._clock.pair(date.decode("ascii", "replace"), time.decode("ascii", "replace"))
        written = tuple(
            self._temporal(self._rules[tag], text) for tag, text in zip((tag_da, tag_tm), moved, strict=True)
        )
        self[(da, tm, 1 - half)] = written[1 - half]
        return written[half]

    def _temporal(self, rule: Rule, text: str) -> bytes:
        return element(rule.tag, rule.vr, text.encode()) if text or rule.type[0] == "2" else b""

    def _decide(self, raw: bytes) -> bytes | Rejected:
        tag, vr, value = encoding.value_of(raw, self._implicit)
        rule = self._rules[tag]
        if vr == b"DS" and rule.vr == "DS" and tag != _WINDOW_WIDTH and actions.usual(value):
            return raw
        if rule.vr == "SQ":
            return self._sequence(rule, vr, value)
        if rule.action == "date":
            text = value.decode("ascii", "replace")
            moved = self._clock.instant(text) if rule.vr == "DT" else self._clock.pair(text, "")[0]
            return self._temporal(rule, "" if rule.vr == "TM" else moved)
        written = self.simple(rule, vr, value)
        if tag in _IDENTITY_UIDS and not identifiers.is_uid(value.strip(b"\0 ")):
            return Rejected("bad_uid", "refuse")
        if tag == _WINDOW_WIDTH and value.split(b"\\")[0].strip(b" \0") in (b"1", b"1.0"):
            return Rejected("burned_in_text", "review")
        if written is None or (not written[1] and rule.type == "1"):
            if rule.type == "1":
                return Rejected("conformance", "review")
            return element(tag, rule.vr, b"") if rule.type[0] == "2" and rule.vr != "XS" else b""
        return element(tag, *written)

    def _sequence(self, rule: Rule, vr: bytes, value: bytes) -> bytes:
        if vr not in (b"", b"SQ", b"UN"):
            return b""
        try:
            rebuilt = sequences.rebuild(rule, value, self._implicit or vr == b"UN", self.simple)
        except (encoding.MalformedError, encoding.ShortError, encoding.TooLargeError):
            return b""  # an optional sequence that cannot be read is not copied
        return rebuilt or b""

    def simple(self, rule: Rule, vr: bytes, value: bytes) -> tuple[str, bytes] | None:
        """The VR and value to write for one value that is not a sequence; None to remove it."""
        if rule.needs and rule.needs not in self._profile.keep:
            return None
        own = rule.vr if rule.vr != "XS" else ("SS" if self.signed else "US")
        if not _compatible(vr.decode("ascii", "replace"), own, rule.vr):
            return None
        if rule.action == "uid":
            return own, actions.uid(value, self._keys)
        if rule.action == "keep":
            kept = actions.numbers(rule, value, own)
        elif rule.action == "class":
            kept = actions.sop_class(value)
        elif rule.action == "number":
            kept = actions.number(value, self._keys)
        else:
            text, _ = charset.decode(value, self._codec)
            kept = actions.term(rule, text) if rule.action == "term" else actions.words(rule, text, self._words)
        return None if kept is None else (own, kept)


@cache
def vocabulary() -> frozenset[str]:
    """The folded words that an output may hold whatever the input was."""
    texts = [*code_meanings().values(), *OPTIONS.values(), *triage.TEXTS.values()]
    texts += [term for some in terms().values() for term in some]
    return frozenset(word for text in texts for word in seeds.words_of(text))


_WINDOW_WIDTH = 0x00281051
_IDENTITY_UIDS = frozenset({0x00080018, 0x0020000D, 0x0020000E})
_TEXT_VRS = frozenset(
    ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UT", "UI", "UR"]
)


def _compatible(read: str, own: str, declared: str) -> bool:
    """Whether a value read as VR `read` may be judged as `own`: the same, unknown, or text for text."""
    if read in ("", "UN", own):
        return True
    if declared == "XS":
        return read in ("US", "SS")
    return read in _TEXT_VRS and own in _TEXT_VRS and "UI" not in (read, own)


def _values(marks: tuple[bytes | stream.Inner, ...], implicit: bool) -> Iterator[tuple[int, bytes, bool]]:
    """(tag, value, whether at the top level) of every mark."""
    for mark in marks:
        if isinstance(mark, bytes):
            tag, _, value = encoding.value_of(mark, implicit)
            yield tag, value, True
        else:
            yield from ((tag, value, False) for tag, value in mark)


def _shape(facts: dict[str, str]) -> tuple[int, int, int, int, int] | None:
    """Rows, columns, samples, bits allocated, frames; None when they make no sense."""
    names = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    try:
        rows, columns, samples, bits = (int(facts[name]) for name in names)
        stored, high = int(facts["BitsStored"]), int(facts["HighBit"])
        frames = int(facts.get("NumberOfFrames") or 1)
    except (KeyError, ValueError):
        return None
    if not (rows and columns and samples and 0 < stored <= bits and high == stored - 1 and bits % 8 == 0):
        return None
    return rows, columns, samples, bits, frames
