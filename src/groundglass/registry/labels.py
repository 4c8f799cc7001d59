"""What the index says of a series: the few de-identified attributes by which it is found and listed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

_LONGEST = 200
_INT = 2**31


@dataclass(frozen=True, slots=True)
class Labels:
    """Attributes of study and series; what is absent or malformed is "" or None."""

    patient_id: str
    patient_sex: str
    patient_age: str
    study_date: date | None
    study_time: str
    study_description: str
    modality: str
    series_number: int | None
    series_description: str
    body_part: str


def labels_of(header: Mapping[str, Any]) -> Labels:
    """Return the labels in a header given as DICOM JSON."""
    return Labels(
        patient_id=_text(header, "00100020"),
        patient_sex=_text(header, "00100040"),
        patient_age=_text(header, "00101010"),
        study_date=_date(_text(header, "00080020")),
        study_time=_text(header, "00080030"),
        study_description=_text(header, "00081030"),
        modality=_text(header, "00080060"),
        series_number=_integer(header, "00200011"),
        series_description=_text(header, "0008103E"),
        body_part=_text(header, "00180015"),
    )


def _first(header: Mapping[str, Any], tag: str) -> object:
    return (header.get(tag, {}).get("Value") or [None])[0]


def _text(header: Mapping[str, Any], tag: str) -> str:
    value = _first(header, tag)
    return value.replace("\0", "")[:_LONGEST] if isinstance(value, str) else ""


def _integer(header: Mapping[str, Any], tag: str) -> int | None:
    value = _first(header, tag)
    return value if isinstance(value, int) and -_INT <= value < _INT else None


def _date(text: str) -> date | None:
    if re.fullmatch(r"[0-9]{8}", text, re.ASCII):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a calendar date has no zone
    return None
