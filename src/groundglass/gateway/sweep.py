"""What a lost job or a killed process leaves is found here and taken up again; what is done with is removed."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

from groundglass.config import Settings
from groundglass.core.database import connect
from groundglass.core.jobs import Context
from groundglass.gateway import intake, pipeline, spool

# Two statements: a condition on other rows in the one that locks would be judged by a snapshot from before the lock.
_LOCKED = "SELECT registered, removed_at IS NOT NULL FROM segment WHERE id = %s FOR UPDATE SKIP LOCKED"
_NEEDED = "SELECT 1 FROM intake_part WHERE segment = %s AND offsets IS NOT NULL LIMIT 1"
_HALF_WRITTEN_SECONDS = 3600.0


def requeue(context: Context) -> None:
    """Give every intake whose state implies a next step a job; one that waits already is left alone."""
    with connect(context.settings, "gateway") as connection:
        rows = connection.execute(
            "SELECT id, series_token, state FROM intake"
            " WHERE state <> 'done' AND settled_at < now() - make_interval(secs => %s)",
            (context.settings.jobs.stalled_seconds,),
        ).fetchall()
        for intake_id, token, state in rows:
            if state == "settled":
                intake.defer_process(connection, intake_id, token)
            else:
                pipeline.defer_send(connection, intake_id)
        connection.commit()
        remove_segments(connection, context.settings)
        _remove_leftovers(connection, context.settings)


def remove_segments(connection: psycopg.Connection, settings: Settings) -> None:
    """Remove the segments of which nothing is waiting; the newest may still grow and stays.

    The mark is committed before the file goes (see the ledger); what a kill leaves between the two goes the next time.
    """
    folder = settings.gateway_dir / "spool"
    for segment in spool.segments(folder)[:-1]:
        with connection.transaction():
            done = _done_with(connection, folder, segment)
            if done:
                connection.execute("UPDATE segment SET removed_at = now() WHERE id = %s", (segment,))
        if done:
            spool.remove(folder, segment)


def _done_with(connection: psycopg.Connection, folder: Path, segment: int) -> bool:
    """Lock the segment's row and tell whether nothing in it waits, registered or not."""
    row = connection.execute(_LOCKED, (segment,)).fetchone()
    if row is None or connection.execute(_NEEDED, (segment,)).fetchone():
        return False
    registered, removed = row
    return bool(removed) or next(spool.scan(folder, segment, registered), None) is None


def _remove_leftovers(connection: psycopg.Connection, settings: Settings) -> None:
    """Remove packages that no open intake needs, and halves that a killed process left."""
    outbox = settings.gateway_dir / "outbox"
    wanted = {
        bytes(row[0]).hex() for row in connection.execute("SELECT package_sha256 FROM intake WHERE state = 'packed'")
    }
    connection.commit()
    old = time.time() - _HALF_WRITTEN_SECONDS
    for path in outbox.glob("*") if outbox.exists() else ():
        if path.stem not in wanted and path.stat().st_mtime < old:
            path.unlink(missing_ok=True)
