"""The gateway's account: each acknowledged instance once, recomputed from primary rows and the spool itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from groundglass.config import Settings
from groundglass.core.database import connect
from groundglass.errors import UnavailableError
from groundglass.gateway import spool

_ATTEMPTS = 50
_COUNTS = ("received", "archived", "quarantined", "duplicates", "pending", "withdrawn")
_KINDS = {"packed": "pending", "archived": "archived", "duplicate": "duplicates", "quarantined": "quarantined"}

_RECEIVED = "SELECT sender, sum(n)::bigint FROM intake_part GROUP BY sender"
_OUTCOMES = "SELECT sender, kind, code, sum(n)::bigint FROM outcome GROUP BY sender, kind, code"
_UNDECIDED = """
SELECT sender, sum(n)::bigint FROM intake_part p
WHERE NOT EXISTS (SELECT 1 FROM outcome o WHERE o.intake_id = p.intake_id) GROUP BY sender
"""


def ledger(settings: Settings) -> dict[str, Any]:
    """Return `{"total": C, "senders": {sender: C}}` (DESIGN 4), consistent at one moment, in instances."""
    with connect(settings, "gateway") as connection:
        for _ in range(_ATTEMPTS):
            senders = _at_one_moment(connection, settings)
            connection.rollback()
            if senders is not None:
                return _with_total(senders)
    raise UnavailableError("a segment of the spool that the database counts is missing: see doctor")


def _with_total(senders: dict[str, dict[str, Any]]) -> dict[str, Any]:
    total = _empty()
    for account in senders.values():
        for name in _COUNTS:
            total[name] += account[name]
        for code, n in account["reasons"].items():
            total["reasons"][code] = total["reasons"].get(code, 0) + n
    return {"total": total, "senders": dict(sorted(senders.items()))}


def _at_one_moment(connection: psycopg.Connection, settings: Settings) -> dict[str, dict[str, Any]] | None:
    """Count a snapshot of the rows and, after it, the records not yet in it; None if a segment went meanwhile.

    A segment is marked as removed before it is: one that the listing misses is marked either in the snapshot, and then
    its records are in the rows, or after it, and then the number of marks has changed.
    """
    senders: defaultdict[str, dict[str, Any]] = defaultdict(_empty)
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    segments = connection.execute("SELECT id, registered, removed_at IS NOT NULL FROM segment").fetchall()
    for sender, n in connection.execute(_RECEIVED):
        senders[sender]["received"] += n
    for sender, kind, code, n in connection.execute(_OUTCOMES):
        senders[sender][_KINDS[kind]] += n
        if kind == "quarantined":
            senders[sender]["reasons"][code] = senders[sender]["reasons"].get(code, 0) + n
    for sender, n in connection.execute(_UNDECIDED):
        senders[sender]["pending"] += n
    removed = {segment for segment, _, gone in segments if gone}
    registered = {segment: end for segment, end, _ in segments}
    try:
        for record in _not_registered(settings.gateway_dir / "spool", registered, removed):
            senders[record.sender]["received"] += 1
            senders[record.sender]["pending"] += 1
    except FileNotFoundError:
        return None
    connection.rollback()
    after = connection.execute("SELECT count(*) FROM segment WHERE removed_at IS NOT NULL").fetchone()
    return senders if after == (len(removed),) else None


def _not_registered(folder: Path, registered: dict[int, int], removed: set[int]) -> Iterator[spool.Record]:
    for segment in spool.segments(folder):
        if segment not in removed:
            yield from spool.scan(folder, segment, registered.get(segment, 0))


def _empty() -> dict[str, Any]:
    return {**dict.fromkeys(_COUNTS, 0), "reasons": {}}
