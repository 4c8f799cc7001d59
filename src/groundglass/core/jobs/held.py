"""Jobs that failed too often: seen, and resumed by somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from groundglass.core import audit
from groundglass.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Held:
    """A job that will not run again by itself. `error` is a class or code."""

    id: int
    task: str
    ids: dict[str, int | str]
    failures: int
    error: str
    at: datetime | None


def held_jobs(conn: psycopg.Connection) -> list[Held]:
    """Return the held jobs, oldest first."""
    rows = conn.execute(
        "SELECT job.id, job.task_name, job.args, coalesce(failure.failures, 0), coalesce(failure.error, 'UnknownTask'),"
        " failure.at FROM procrastinate_jobs AS job LEFT JOIN job_failure AS failure ON failure.job_id = job.id"
        " WHERE job.status = 'failed' ORDER BY job.id"
    )
    return [Held(*row) for row in rows]


def resume(conn: psycopg.Connection, job_id: int, *, by: str = "command") -> None:
    """Give a held job all its attempts again. Raises NotFoundError if no job of that number is held."""
    row = conn.execute(
        "SELECT task_name FROM procrastinate_jobs WHERE id = %s AND status = 'failed' FOR UPDATE", (job_id,)
    ).fetchone()
    if row is None:
        raise NotFoundError("no job of this number is held")
    conn.execute("DELETE FROM job_failure WHERE job_id = %s", (job_id,))
    conn.execute("SELECT job_retry(%s, now()), job_wake()", (job_id,))
    audit.record(conn, by=by, action="job.resume", target=f"job {job_id}", detail={"task": row[0]})
