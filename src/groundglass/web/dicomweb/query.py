"""The query string of a QIDO-RS search (PS3.18 8.3.4): what it asks for, or why it cannot be answered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from groundglass.errors import UsageError
from groundglass.registry.search import Between, Column, Condition, Like, OneOf

Level = Literal["study", "series", "instance"]
LONGEST_LIST: Final = 1000

# keyword, tag, column of the index
_STUDY: Final[tuple[tuple[str, str, Column], ...]] = (
    ("StudyDate", "00080020", "study_date"),
    ("StudyTime", "00080030", "study_time"),
    ("ModalitiesInStudy", "00080061", "modalities"),
    ("StudyDescription", "00081030", "study_description"),
    ("PatientID", "00100020", "patient_id"),
    ("PatientSex", "00100040", "patient_sex"),
    ("StudyInstanceUID", "0020000D", "study_instance_uid"),
)
_SERIES: Final[tuple[tuple[str, str, Column], ...]] = (
    ("Modality", "00080060", "modality"),
    ("SeriesDescription", "0008103E", "series_description"),
    ("BodyPartExamined", "00180015", "body_part"),
    ("SeriesInstanceUID", "0020000E", "series_instance_uid"),
    ("SeriesNumber", "00200011", "series_number"),
)
_INSTANCE: Final = (
    ("SOPClassUID", "00080016"),
    ("SOPInstanceUID", "00080018"),
    ("InstanceNumber", "00200013"),
)
_ALWAYS_EMPTY: Final = {"AccessionNumber": "00080050", "StudyID": "00200010"}
# Nobody is looked for by name or birth date here: the value would be an identity, and it would stand in an address.
_NEVER: Final = {"PatientName": "00100010", "PatientBirthDate": "00100030", "ReferringPhysicianName": "00080090"}
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9.]{1,128}", re.ASCII)
_EIGHT: Final = re.compile(r"\d{8}", re.ASCII)
_TIME: Final = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked. `nothing` is a condition that no object of ours meets; `warnings` are told in the answer."""

    conditions: tuple[Condition, ...]
    instance: dict[str, tuple[str, ...]]  # tag of the instance level -> accepted values
    include: tuple[str, ...]  # tags, or `all`
    limit: int
    offset: int
    nothing: bool
    warnings: tuple[str, ...]


def parse(parameters: Iterable[tuple[str, str]], level: Level) -> Query:
    """Read a query string. Raises UsageError for an attribute or value that cannot be searched for."""
    reader = _Reader(level)
    for name, value in parameters:
        reader.take(name, value)
    return Query(
        tuple(reader.conditions),
        reader.instance,
        tuple(reader.include),
        reader.limit,
        reader.offset,
        reader.nothing,
        tuple(reader.warnings),
    )


class _Reader:
    def __init__(self, level: Level) -> None:
        self.conditions: list[Condition] = []
        self.instance: dict[str, tuple[str, ...]] = {}
        self.include: list[str] = []
        self.limit, self.offset = LONGEST_LIST, 0
        self.nothing = False
        self.warnings: list[str] = []
        known = _STUDY if level == "study" else (*_STUDY, *_SERIES)
        self._columns = {name: column for keyword, tag, column in known for name in (keyword, tag)}
        self._instance = {n: tag for k, tag in _INSTANCE for n in (k, tag)} if level == "instance" else {}
        self._empty = {*_ALWAYS_EMPTY, *_ALWAYS_EMPTY.values()}
        self._never = {*_NEVER, *_NEVER.values()}

    def take(self, name: str, value: str) -> None:
        """Take note of one parameter."""
        canonical = name.upper() if _TAG.fullmatch(name) else name
        if name == "limit":
            self.limit = min(_number(value), LONGEST_LIST)
        elif name == "offset":
            self.offset = _number(value)
        elif name == "fuzzymatching":
            if value == "true":
                self.warnings.append("fuzzymatching is not supported: only literal matching was done")
        elif name == "includefield":
            self.include += [_field(one) for one in value.split(",") if one]
        elif canonical in self._never and value.strip("*"):
            raise UsageError("nobody is looked for by name or birth date here")
        elif canonical in self._columns:
            self._match(self._columns[canonical], value)
        elif canonical in self._instance:
            self._match_instance(self._instance[canonical], value)
        elif canonical in self._empty:
            self.nothing = self.nothing or bool(value.strip("*"))
        elif canonical not in self._never:
            raise UsageError("the search names an attribute that cannot be searched for at this level")

    def _match_instance(self, tag: str, value: str) -> None:
        if not value or value == "*":
            return  # universal matching
        self.instance[tag] = _uids(value) if tag != "00200013" else (str(_number(value)),)

    def _match(self, column: Column, value: str) -> None:
        if not value or value == "*":
            return  # universal matching
        if "\0" in value:
            raise UsageError("a value of the search has a character that no attribute has")
        if column.endswith("_uid"):
            self.conditions.append(OneOf(column, _uids(value)))
        elif column == "study_date":
            self.conditions.append(_dates(value))
        elif column == "study_time":
            self.conditions.append(_times(value))
        elif column == "series_number":
            self.conditions.append(OneOf(column, (_number(value),)))
        elif column == "modalities":
            self.conditions.append(OneOf(column, tuple(re.split(r"[,\\]", value.upper()))))
        elif set(value) & {"*", "?"}:
            escaped = re.sub(r"([\\%_])", r"\\\1", value)
            self.conditions.append(Like(column, escaped.replace("*", "%").replace("?", "_")))
        else:
            self.conditions.append(OneOf(column, (value,)))


def _number(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        raise UsageError("limit, offset and numbers are whole numbers")
    return int(value)


def _field(name: str) -> str:
    """Return the tag of an attribute, or `all`. One that is unknown is no fault: it is in no answer."""
    if not _NAME.fullmatch(name):
        raise UsageError("includefield names attributes by keyword or eight hex digits, or is all")
    if name == "all" or _TAG.fullmatch(name):
        return name if name == "all" else name.upper()
    from pydicom.datadict import tag_for_keyword  # a third of a second, for the few who ask by keyword

    tag = tag_for_keyword(name)
    return name if tag is None else f"{tag:08X}"


def _uids(value: str) -> tuple[str, ...]:
    uids = tuple(one.strip() for one in re.split(r"[,\\]", value))
    if not all(_UID.fullmatch(uid) for uid in uids):
        raise UsageError("a UID is made of up to 64 digits and dots")
    return uids


def _dates(value: str) -> Between:
    first, dash, last = value.partition("-")
    bounds = (_date(first), _date(last)) if dash else (_date(value), _date(value))
    if bounds == (None, None):
        raise UsageError("a date range has at least one end")
    return Between("study_date", *bounds)


def _date(value: str) -> date | None:
    if not value:
        return None
    try:
        if not _EIGHT.fullmatch(value):
            raise ValueError
        return datetime.strptime(value, "%Y%m%d").date()  # noqa: DTZ007 -- a DICOM date has no zone
    except ValueError:
        raise UsageError("a date is written YYYYMMDD, a range YYYYMMDD-YYYYMMDD") from None


def _times(value: str) -> Between:
    first, dash, last = value.partition("-")
    ends = [first, last] if dash else [value, value]
    if not any(ends) or not all(not end or _TIME.fullmatch(end) for end in ends):
        raise UsageError("a time is written HHMMSS, a range HHMMSS-HHMMSS")
    return Between("study_time", ends[0] or None, f"{ends[1]}~" if ends[1] else None)  # ~ sorts behind what is finer
