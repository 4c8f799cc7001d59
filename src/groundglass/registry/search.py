"""Searching the index: which studies and series match, among those that the asker may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import psycopg
from psycopg import sql

Column = Literal[
    "study_instance_uid",
    "patient_id",
    "patient_sex",
    "study_date",
    "study_time",
    "study_description",
    "modalities",
    "series_instance_uid",
    "modality",
    "series_number",
    "series_description",
    "body_part",
]
_OF_SERIES = {"series_instance_uid", "modality", "series_number", "series_description", "body_part"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What an account may see: everything, one centre's, or nothing."""

    everything: bool = False
    centre: str | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """The column is one of these values."""

    column: Column
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """The column matches a pattern of LIKE, whatever the case but for patient_id."""

    column: Column
    pattern: str


@dataclass(frozen=True, slots=True)
class Between:
    """The column lies between two dates or times, both included; None is open."""

    column: Column
    first: date | str | None
    last: date | str | None


Condition = OneOf | Like | Between


@dataclass(frozen=True, slots=True)
class Study:
    """A study of the index."""

    study_instance_uid: str
    patient_id: str
    patient_sex: str
    patient_age: str
    study_date: date | None
    study_time: str
    study_description: str
    modalities: list[str]
    series_count: int
    instance_count: int


@dataclass(frozen=True, slots=True)
class Series:
    """A series of the index, its study, and where its current package is."""

    series_instance_uid: str
    modality: str
    series_number: int | None
    series_description: str
    body_part: str
    instances: int
    n_bytes: int
    version: int
    package_sha256: bytes
    collection: str
    study: Study


_STUDIES = """
SELECT s.study_instance_uid, s.patient_id, s.patient_sex, s.patient_age, s.study_date, s.study_time,
       s.study_description, s.modalities, s.series_count, s.instance_count
FROM study s WHERE {} ORDER BY s.study_date DESC, s.id LIMIT %s OFFSET %s
"""
_SERIES = """
SELECT r.series_instance_uid, r.modality, r.series_number, r.series_description, r.body_part, r.instances, r.bytes,
       r.version, r.package_sha256, s.collection,
       s.study_instance_uid, s.patient_id, s.patient_sex, s.patient_age, s.study_date, s.study_time,
       s.study_description, s.modalities, s.series_count, s.instance_count
FROM study s JOIN series r ON r.study_id = s.id
WHERE {} ORDER BY s.study_date DESC, s.id, r.series_number, r.id LIMIT %s OFFSET %s
"""
_SERIES_COLUMNS = 10


def studies(
    conn: psycopg.Connection, scope: Scope, conditions: Sequence[Condition], *, limit: int, offset: int = 0
) -> list[Study]:
    """Return the matching studies, newest first."""
    where, values = _where(scope, conditions)
    rows = conn.execute(sql.SQL(_STUDIES).format(where), [*values, limit, offset])
    return [Study(*row) for row in rows]


def series(
    conn: psycopg.Connection, scope: Scope, conditions: Sequence[Condition], *, limit: int, offset: int = 0
) -> list[Series]:
    """Return the matching series by study, newest first, and number."""
    where, values = _where(scope, conditions)
    rows = conn.execute(sql.SQL(_SERIES).format(where), [*values, limit, offset])
    return [Series(*[*row[:_SERIES_COLUMNS], Study(*row[_SERIES_COLUMNS:])]) for row in rows]


def _where(scope: Scope, conditions: Sequence[Condition]) -> tuple[sql.Composable, list[Any]]:
    parts: list[sql.Composable] = [] if scope.everything else [sql.SQL("s.centre = %s")]
    values: list[Any] = [] if scope.everything else [scope.centre]  # a NULL centre matches nothing
    for condition in conditions:
        part, more = _condition(condition)
        parts.append(part)
        values += more
    return sql.SQL(" AND ").join(parts) if parts else sql.SQL("true"), values


def _condition(condition: Condition) -> tuple[sql.Composable, list[Any]]:
    of_series = condition.column in _OF_SERIES
    column: sql.Composable = sql.Identifier("r" if of_series else "s", condition.column)
    match condition:
        case OneOf("modalities", values):
            return sql.SQL("{} && %s::text[]").format(column), [list(values)]
        case OneOf(_, (value,)):
            return sql.SQL("{} = %s").format(column), [value]
        case OneOf(_, values):
            return sql.SQL("{} = ANY(%s)").format(column), [list(values)]
        case Like("patient_id", pattern):  # pseudonyms have one case, and LIKE finds a beginning by the index
            return sql.SQL("{} LIKE %s").format(column), [pattern]
        case Like(_, pattern):
            return sql.SQL("{} ILIKE %s").format(column), [pattern]
        case Between(name, first, last):
            if name == "study_time":
                column = sql.SQL('{} COLLATE "C"').format(column)
            bounds = [(" >= %s", first), (" <= %s", last)]
            given = [(text, value) for text, value in bounds if value is not None]
            parts = [sql.SQL("{}" + text).format(column) for text, _ in given]
            return sql.SQL(" AND ").join(parts), [value for _, value in given]
