"""Studies as the pages list them: filtered, counted, and read on from a place (keyset)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import class_row

PAGE_ROWS: Final = 50
# A count of more would cost more than the page; beyond it the page says "plus de".
COUNTED: Final = 10_000

_WANTED: Final = """
WHERE (%(centre)s::text IS NULL OR centre = %(centre)s)
    AND (%(since)s::date IS NULL OR study_date >= %(since)s)
    AND (%(until)s::date IS NULL OR study_date <= %(until)s)
    AND (%(text)s::text IS NULL OR study_instance_uid = %(text)s
         OR (patient_id >= %(text)s AND starts_with(patient_id, %(text)s)))
"""
_COLUMNS: Final = """
SELECT id, study_instance_uid, collection, centre, patient_id, patient_sex, patient_age, study_date, study_description,
       modalities, series_count, instance_count, bytes, archived_at
FROM study
"""
_COUNT: Final = "SELECT count(*) FROM (SELECT FROM study" + _WANTED + " LIMIT %(limit)s) AS counted"  # noqa: S608 - constants
_PAGE: Final = (
    _COLUMNS
    + _WANTED
    + """
    AND (%(place_at)s::timestamptz IS NULL OR (archived_at <= %(place_at)s
         AND (archived_at < %(place_at)s OR id > %(place_id)s)))
ORDER BY archived_at DESC, id LIMIT %(limit)s
"""
)
_ONE: Final = _COLUMNS + "WHERE study_instance_uid = %(uid)s AND (%(centre)s::text IS NULL OR centre = %(centre)s)"


@dataclass(frozen=True, slots=True)
class Study:
    """One archived study. All identifiers are the registry's own pseudonyms."""

    id: int
    study_instance_uid: str
    collection: str
    centre: str
    patient_id: str
    patient_sex: str
    patient_age: str
    study_date: date | None
    study_description: str
    modalities: list[str]
    series_count: int
    instance_count: int
    bytes: int
    archived_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to list: every field that is None filters nothing. `text` begins a pseudonym or is a UID."""

    centre: str | None = None
    since: date | None = None
    until: date | None = None
    text: str | None = None

    def values(self) -> dict[str, Any]:
        """Return the values of the query."""
        return {"centre": self.centre, "since": self.since, "until": self.until, "text": self.text}


def count(conn: Connection[tuple[Any, ...]], wanted: Wanted) -> int:
    """Return how many there are, COUNTED + 1 for more than COUNTED."""
    # Never prepared: the plan must be made for the filters that are set, not for all of them.
    row = conn.execute(_COUNT, {**wanted.values(), "limit": COUNTED + 1}, prepare=False).fetchone()
    return int(row[0]) if row else 0


def page(conn: Connection[tuple[Any, ...]], wanted: Wanted, *, after: str | None = None) -> list[Study]:
    """Return the last archived first, one row more than a page so that the reader learns whether there are others."""
    at, number = _place(after) or (None, None)
    values = {**wanted.values(), "place_at": at, "place_id": number, "limit": PAGE_ROWS + 1}
    with conn.cursor(row_factory=class_row(Study)) as cursor:
        return cursor.execute(_PAGE, values, prepare=False).fetchall()


def find(conn: Connection[tuple[Any, ...]], study_instance_uid: str, *, centre: str | None) -> Study | None:
    """Return one study, None if it is absent or of another centre than the one given."""
    with conn.cursor(row_factory=class_row(Study)) as cursor:
        return cursor.execute(_ONE, {"uid": study_instance_uid, "centre": centre}).fetchone()


def centres(conn: Connection[tuple[Any, ...]]) -> list[str]:
    """Return the codes of the centres, for the filter."""
    return [code for (code,) in conn.execute("SELECT code FROM centre ORDER BY code LIMIT 1000")]


def place_after(study: Study) -> str:
    """Return the opaque place of a row in the list, for the address of the next page."""
    plain = f"{study.archived_at.astimezone(UTC).isoformat()}|{study.id}"
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _place(after: str | None) -> tuple[datetime, int] | None:
    """Read a place; one that is not ours starts at the top."""
    if not after or len(after) > 100:
        return None
    try:
        plain = base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)).decode()
        at, _, number = plain.partition("|")
        place = datetime.fromisoformat(at), int(number)
    except (ValueError, binascii.Error):
        return None
    return place if place[0].tzinfo is not None and abs(place[1]) < 2**63 else None
