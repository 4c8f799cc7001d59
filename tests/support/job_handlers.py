"""Handlers for the tests of jobs; they run in the children of a worker, in the registry zone."""

from __future__ import annotations

import os
import signal
import sys
import time

import psycopg

from groundglass.core import jobs
from groundglass.core.database import connect
from groundglass.errors import NoRoomError

DONE = "CREATE TABLE done (id bigserial, task text, n int, pid int, parent int, at timestamptz)"


def mark(conn: psycopg.Connection, task: str, n: int) -> None:
    conn.execute(
        "INSERT INTO done (task, n, pid, parent, at) VALUES (%s, %s, %s, %s, clock_timestamp())",
        (task, n, os.getpid(), os.getppid()),
    )
    conn.commit()


def note(context: jobs.Context, n: int) -> None:
    with connect(context.settings, context.zone) as conn:
        mark(conn, "note", n)


def nothing(context: jobs.Context, n: int) -> None:
    return


def once(context: jobs.Context, n: int) -> None:
    """Work as the rule says: one effect, however often it runs."""
    with connect(context.settings, context.zone) as conn:
        if jobs.has_effect(conn, "once", str(n), "1"):
            return
        conn.rollback()
        if not jobs.effect(conn, "once", str(n), "1"):
            conn.rollback()
            return
        mark(conn, "once", n)


def slow_first(context: jobs.Context, n: int) -> None:
    """Hang in the first run; do it in the second."""
    with connect(context.settings, context.zone) as conn:
        row = conn.execute("SELECT count(*) FROM done WHERE task = 'begun' AND n = %s", (n,)).fetchone()
        mark(conn, "begun", n)
        if row == (0,):
            time.sleep(60)
        mark(conn, "slow_first", n)


def fail(context: jobs.Context, n: int, name: str = "") -> None:
    note(context, n)
    raise LookupError(f"patient MOREAU-TESTEUR {name}")


def fail_twice(context: jobs.Context, n: int) -> None:
    with connect(context.settings, context.zone) as conn:
        mark(conn, "fail_twice", n)
        row = conn.execute("SELECT count(*) FROM done WHERE task = 'fail_twice' AND n = %s", (n,)).fetchone()
    if row and row[0] <= 2:
        raise LookupError("MOREAU-TESTEUR")


def die(context: jobs.Context, n: int) -> None:
    note(context, n)
    os.kill(os.getpid(), signal.SIGKILL)


def leave(context: jobs.Context, n: int) -> None:
    note(context, n)
    sys.exit("MOREAU-TESTEUR")


def impossible(context: jobs.Context, n: int) -> None:
    note(context, n)
    raise jobs.Permanent("no-such-thing")


def later(context: jobs.Context, n: int) -> None:
    """Wait for something away: it is back at the eighth try."""
    with connect(context.settings, context.zone) as conn:
        mark(conn, "later", n)
        row = conn.execute("SELECT count(*) FROM done WHERE task = 'later' AND n = %s", (n,)).fetchone()
    if row and row[0] < 8:
        raise jobs.Later(0.05)


def no_room(context: jobs.Context, n: int) -> None:
    """Find the disk full eight times."""
    with connect(context.settings, context.zone) as conn:
        mark(conn, "no_room", n)
        row = conn.execute("SELECT count(*) FROM done WHERE task = 'no_room' AND n = %s", (n,)).fetchone()
        if row and row[0] < 4:
            raise NoRoomError
        if row and row[0] < 8:
            conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def hold_the_interpreter(context: jobs.Context, n: int) -> None:
    """Hold the child's GIL for longer than a worker may be silent, as a codec does."""
    deadline = time.monotonic() + context.settings.jobs.stalled_seconds * 1.5
    while time.monotonic() < deadline:
        pow(3, 3_000_000)
    note(context, n)


def sweep(context: jobs.Context) -> None:
    """Give every row of `wanted` that has no effect its job."""
    with connect(context.settings, context.zone) as conn:
        if conn.execute("SELECT to_regclass('wanted')").fetchone() == (None,):
            return
        for (n,) in conn.execute("SELECT n FROM wanted").fetchall():
            if not jobs.has_effect(conn, "once", str(n), "1"):
                jobs.defer(conn, "once", queue="test", queueing_lock=f"once:{n}", n=n)


def broken_sweep(context: jobs.Context) -> None:
    raise LookupError("MOREAU-TESTEUR")


_QUICK = (note, nothing, once, fail, fail_twice, die, leave, impossible, later, no_room)
HANDLERS = {handler.__name__: handler for handler in (*_QUICK, slow_first, hold_the_interpreter)}
SWEEPERS = [broken_sweep, sweep]
