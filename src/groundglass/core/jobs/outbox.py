"""What a transaction leaves behind: the effect it had, and the jobs that follow it."""

from __future__ import annotations

import re

import psycopg
from procrastinate import App, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
# Never opened: it writes through the caller's connection only. Inside a worker a connector of the other kind is open.
_outbox = App(connector=SyncPsycopgConnector())


def defer(
    conn: psycopg.Connection,
    task: str,
    *,
    queue: str,
    lock: str | None = None,
    queueing_lock: str | None = None,
    **ids: int | str,
) -> bool:
    """Enqueue a job in the caller's transaction; return False if one like it waits or is held.

    `queueing_lock` thins out jobs that wait, it does not prevent a second run; `lock` lets one run at a time. Ids are
    ours: numbers, hashes, keyed tokens. Raises ValueError for anything else.
    """
    if not all(_is_identifier(value) for value in ids.values()):
        raise ValueError("arguments of a job are identifiers that groundglass made")
    # Also opens the caller's transaction, so that the next block is a savepoint in it and commits nothing.
    if conn.execute(_HELD, (queueing_lock, task)).fetchone() and ids:
        return False
    deferrer = _outbox.configure_task(
        task, allow_unknown=True, queue=queue, lock=lock, queueing_lock=queueing_lock, connection=conn
    )
    try:
        with conn.transaction():
            deferrer.defer(**ids)
    except AlreadyEnqueued:
        return False
    return True


_HELD = "SELECT 1 FROM procrastinate_jobs WHERE status = 'failed' AND queueing_lock = %s AND task_name = %s LIMIT 1"


def effect(conn: psycopg.Connection, kind: str, subject: str, version: str, *, outcome: str = "") -> bool:
    """Write down that this was done, in the caller's transaction. False: another did it first; roll back."""
    row = conn.execute(
        "INSERT INTO effect (kind, subject, input_version, outcome) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING kind",
        (kind, subject, version, outcome),
    ).fetchone()
    return row is not None


def has_effect(conn: psycopg.Connection, kind: str, subject: str, version: str) -> bool:
    """Tell whether this was done already: a handler asks before it works."""
    row = conn.execute(
        "SELECT 1 FROM effect WHERE kind = %s AND subject = %s AND input_version = %s", (kind, subject, version)
    ).fetchone()
    return row is not None


def _is_identifier(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None)
