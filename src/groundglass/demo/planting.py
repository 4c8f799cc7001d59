"""Plant an identity wherever a DICOM file can hide one, and say which bytes must never be found afterwards.

Every place gets a value of its own, so that what is found later tells where it came from. Places: deidentification.md
sections 3, 6 and 9.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping

from groundglass.demo.elements import CODECS, Element, Part10, rows
from groundglass.demo.identities import Person, known_by

_SHORT_TEXT: Mapping[str, tuple[int, str]] = {
    "accession": (0x00080050, "SH"),
    "admission": (0x00380010, "LO"),
    "birth-name": (0x00101005, "PN"),
    "comments": (0x00204000, "LT"),
    "contrast": (0x00180010, "LO"),
    "department": (0x00081040, "LO"),
    "derivation": (0x00082111, "ST"),
    "device": (0x00181008, "LO"),
    "history": (0x001021B0, "LT"),
    "institution": (0x00080080, "LO"),
    "insurance": (0x00101050, "LO"),
    "kernel": (0x00181210, "SH"),
    "location": (0x00380300, "LO"),
    "maker": (0x00080070, "LO"),
    "military": (0x00101080, "LO"),
    "model": (0x00081090, "LO"),
    "mother": (0x00101060, "PN"),
    "occupation": (0x00102180, "SH"),
    "operator": (0x00081070, "PN"),
    "patient-comments": (0x00104000, "LT"),
    "performed-step": (0x00400254, "LO"),
    "position-reference": (0x00201040, "LO"),
    "protocol": (0x00181030, "LO"),
    "radiologist": (0x00081050, "PN"),
    "referrer": (0x00080090, "PN"),
    "religion": (0x001021F0, "LO"),
    "requested-procedure": (0x00321060, "LO"),
    "responsible": (0x00102297, "PN"),
    "serial": (0x00181000, "LO"),
    "series-description": (0x0008103E, "LO"),
    "software": (0x00181020, "LO"),
    "station": (0x00081010, "SH"),
    "study-comments": (0x00324000, "LT"),
    "study-description": (0x00081030, "LO"),
    "study-id": (0x00200010, "SH"),
    "telephone": (0x00102154, "SH"),
    "visit-comments": (0x00384000, "LT"),
}
_CODES: Mapping[str, int] = {
    "body-part": 0x00180015,
    "filter-material": 0x00187050,
    "image-type-4": 0x00080008,
    "scan-options": 0x00180022,
}

PLACES_IN_DATA_SET = (
    *_SHORT_TEXT,
    *_CODES,
    "other-ids",
    "procedure-code",
    "nested-3",
    "request-step",
    "private-known",
    "private-unknown",
    "private-sequence",
    "private-no-creator",
    "private-creator",
    "unknown-vr",
    "overlay-description",
    "overlay-label",
    "curve",
    "original-attributes",
    "digits-in-is",
    "digits-in-ds",
    "text-in-ds",
    "second-value",
    "name-groups",
    "digital-signature",
    "icon",
)
PLACES_AROUND_IT = ("preamble", "file-meta", "file-meta-private", "tail")


def planted(person: Person) -> dict[str, str]:
    """Return place -> the value that is planted there. Values of codes are capitals and fit 16 characters."""
    values = {place: person.token(place) for place in (*PLACES_IN_DATA_SET, *PLACES_AROUND_IT)}
    return values | {place: person.number(place) for place in ("digits-in-is", "digits-in-ds")}


def plant(file: Part10, person: Person, *, places: Collection[str] = PLACES_IN_DATA_SET) -> Part10:
    """Return the file with the person's values in `places`. With PLACES_AROUND_IT the file is no longer clean DICOM."""
    values = {place: value for place, value in planted(person).items() if place in places}
    elements: dict[int, Element] = {element.tag: element for element in file.elements}
    for place, (tag, vr) in _SHORT_TEXT.items():
        if place in values:
            elements[tag] = Element(tag, vr, values[place])
    for place, tag in _CODES.items():
        if place in values:
            kept = "ORIGINAL\\PRIMARY\\AXIAL\\" if place == "image-type-4" else ""
            elements[tag] = Element(tag, "CS", kept + values[place])
    for place, make in _ODD_PLACES.items():
        if place in values:
            elements.update((element.tag, element) for element in make(values[place]))
    if "name-groups" in values:
        elements[0x00100010] = _all_groups(person, values["name-groups"], file.writing.charset)
    return dataclasses.replace(
        file,
        elements=tuple(elements.values()),
        preamble=values.get("preamble", "").encode().ljust(128, b"\0")[:128],
        meta=(*file.meta, *_meta(values)),
        tail=values.get("tail", "").encode(),
    )


def secrets(person: Person) -> tuple[str, ...]:
    """Return every text that must never be found downstream of a file in which `person` was planted."""
    return tuple(dict.fromkeys((*known_by(person), *planted(person).values())))


def secret_bytes(person: Person) -> tuple[bytes, ...]:
    """Return `secrets` as bytes, in each charset that files here are written in."""
    codecs = dict.fromkeys((*CODECS.values(), "utf-16-le"))
    return tuple(dict.fromkeys(text.encode(codec, "ignore") for text in secrets(person) for codec in codecs))


def _meta(values: Mapping[str, str]) -> tuple[Element, ...]:
    found: list[Element] = []
    if "file-meta" in values:
        found += rows((0x00020016, "AE", values["file-meta"]), (0x00020018, "AE", values["file-meta"]))
    if "file-meta-private" in values:
        found += rows((0x00020100, "UI", "2.25.77"), (0x00020102, "OB", values["file-meta-private"].encode()))
    return tuple(found)


def _code(value: str) -> tuple[Element, ...]:
    return rows((0x00080100, "SH", value[:8]), (0x00080102, "SH", "99BIDON"), (0x00080104, "LO", value))


def _nested(value: str) -> tuple[Element, ...]:
    third = (Element(0x00080104, "LO", value), Element(0x00404034, "PN", value))
    second = (Element(0x0040A730, "SQ", (third,)),)
    return rows((0x00400555, "SQ", ((Element(0x0040A043, "SQ", (second,)), Element(0x0040A160, "UT", value)),)))


def _private_sequence(value: str) -> tuple[Element, ...]:
    item = rows((0x00100010, "PN", value), (0x00204000, "LT", value))
    return rows((0x00990010, "LO", "GG PHANTOM SEQ"), (0x00991001, "SQ", (item,)))


def _other_ids(value: str) -> tuple[Element, ...]:
    item = rows((0x00100020, "LO", value), (0x00100021, "LO", value), (0x00100022, "CS", "TEXT"))
    return rows((0x00101000, "LO", f"XF0\\{value}"), (0x00101002, "SQ", (item,)))


def _request(value: str) -> tuple[Element, ...]:
    item = rows((0x00400007, "LO", value), (0x00400009, "SH", value), (0x00401002, "LO", value))
    return rows((0x00400275, "SQ", (item,)))


def _original(value: str) -> tuple[Element, ...]:
    before = rows((0x00100010, "PN", value), (0x00100020, "LO", value))
    item = rows(
        (0x04000550, "SQ", (before,)),
        (0x04000562, "DT", "20200301"),
        (0x04000563, "LO", value),
        (0x04000564, "LO", value),
        (0x04000565, "CS", "CORRECT"),
    )
    return rows((0x04000561, "SQ", (item,)))


def _icon(value: str) -> tuple[Element, ...]:
    item = rows(
        (0x00280002, "US", (1,)),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", (4,)),
        (0x00280011, "US", (4,)),
        (0x00280100, "US", (8,)),
        (0x00280101, "US", (8,)),
        (0x00280102, "US", (7,)),
        (0x00280103, "US", (0,)),
        (0x7FE00010, "OB", value.encode().ljust(16, b"\0")),
    )
    return rows((0x00880200, "SQ", (item,)))


def _overlay(tag: int, vr: str) -> _Make:
    shape = rows(
        (0x60000010, "US", (16,)),
        (0x60000011, "US", (16,)),
        (0x60000040, "CS", "G"),
        (0x60000050, "SS", (1, 1)),
        (0x60000100, "US", (1,)),
        (0x60000102, "US", (0,)),
        (0x60003000, "OW", bytes(32)),
    )
    return lambda value: (*shape, Element(tag, vr, value))


def _all_groups(person: Person, value: str, charset: str) -> Element:
    """The name in its three component groups, in Japanese where the charset can write it."""
    foreign = "山田^太郎=やまだ^たろう" if "IR 87" in charset or "192" in charset else f"{value}={value}"
    return Element(0x00100010, "PN", f"{person.dicom_name}^{value}={foreign}")


def _signature(value: str) -> tuple[Element, ...]:
    return rows((0xFFFAFFFA, "SQ", (rows((0x04000005, "US", (1,)), (0x04000115, "OB", value.encode())),)))


def _table(*table: tuple[int, str, str]) -> _Make:
    """Return a maker of rows whose text carries the value at {}; VR UN and OB as bytes."""

    def make(value: str) -> tuple[Element, ...]:
        texts = ((tag, vr, text.format(value)) for tag, vr, text in table)
        return rows(*((tag, vr, text.encode() if vr in ("UN", "OB") else text) for tag, vr, text in texts))

    return make


_Make = Callable[[str], tuple[Element, ...]]
_ODD_PLACES: Mapping[str, _Make] = {
    "other-ids": _other_ids,
    "procedure-code": lambda value: rows((0x00081032, "SQ", (_code(value),))),
    "nested-3": _nested,
    "request-step": _request,
    "private-known": _table((0x00090010, "LO", "GEMS_IDEN_01"), (0x00091002, "SH", "{}"), (0x00091030, "SH", "{}")),
    "private-unknown": _table((0x00770010, "LO", "BIDON PACS 1.0"), (0x00771001, "LO", "{}"), (0x00771002, "UN", "{}")),
    "private-sequence": _private_sequence,
    "private-no-creator": _table((0x00791001, "LO", "{}")),
    "private-creator": _table((0x007B0010, "LO", "{}"), (0x007B1001, "DS", "1")),
    "unknown-vr": _table((0x00181004, "UN", "{}"), (0x0018A003, "UN", "{}")),
    "overlay-description": _overlay(0x60000022, "LO"),
    "overlay-label": _overlay(0x60001500, "LO"),
    "curve": _table((0x50000040, "LO", "{}"), (0x50002500, "LO", "{}")),
    "original-attributes": _original,
    "digits-in-is": _table((0x00200012, "IS", "{}")),
    "digits-in-ds": _table((0x00181130, "DS", "{}")),
    "text-in-ds": _table((0x00181111, "DS", "{}")),
    "second-value": _table((0x00181160, "SH", "BODY FILTER\\{}")),
    "digital-signature": _signature,
    "icon": _icon,
}
