"""Jobs a second with 100,000 waiting, beside a bare SKIP LOCKED loop on the same server in the same run.

    python -m bench.jobs [--waiting 100000] [--seconds 15]

Ours is the whole way: fetch by procrastinate, a child process for the handler, removal. The peer claims and removes
rows of a bare table. The floor is 110 jobs/s: ten times what ten times the national load needs.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from groundglass.config import Jobs, Settings
from groundglass.core import database, jobs

FLOOR = 110
_ROUNDS = 50


def nothing(context: jobs.Context, n: int) -> None:
    """Take no time: what is measured is the way."""


def stamp(context: jobs.Context, n: int) -> None:
    """Write when it began."""
    began = time.time()
    with database.connect(context.settings, context.zone) as connection:
        connection.execute("INSERT INTO began VALUES (%s, %s)", (n, began))


HANDLERS = {"nothing": nothing, "stamp": stamp}
SWEEPERS: list[jobs.Sweeper] = []


def main() -> int:
    """Print the figures; return 1 under the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--concurrency", type=int, default=2)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gg-jobs-") as folder:
        settings = Settings(data=Path(folder), jobs=Jobs(heartbeat_seconds=2, stalled_seconds=10))
        with database.owned(settings) as server:
            assert server
            with psycopg.connect(server.conninfo("registry"), autocommit=True) as connection:
                bare = peer(connection, wanted.waiting, wanted.seconds / 3)
                ours, waits = measure(settings, connection, wanted.waiting, wanted.seconds, wanted.concurrency)
    print(f"jobs with {wanted.waiting} waiting      {ours:8.0f} /s   floor {FLOOR}")
    print(f"bare SKIP LOCKED, 1 client      {bare:8.0f} /s   ratio {ours / bare:.2f}")
    print(f"from commit to start, idle      p50 {statistics.median(waits):.1f} ms   p95 {sorted(waits)[-3]:.1f} ms")
    return 0 if ours >= FLOOR else 1


def measure(
    settings: Settings, connection: psycopg.Connection, waiting: int, seconds: float, concurrency: int
) -> tuple[float, list[float]]:
    """Return jobs a second with so many waiting, and the milliseconds before a job starts with none waiting."""
    fill(connection, waiting)
    with worker(settings, concurrency):
        ours = rate(connection, seconds)
    connection.execute("DELETE FROM procrastinate_jobs")
    with worker(settings, concurrency):
        return ours, latency(settings, connection)


def fill(connection: psycopg.Connection, waiting: int) -> None:
    """Enqueue in bulk, half of them with locks of their own, as series have."""
    connection.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args, queueing_lock, lock)"
        " SELECT 'bench', 'nothing', jsonb_build_object('n', n), 'nothing:' || n,"
        " CASE WHEN n %% 2 = 0 THEN 'series:' || n END FROM generate_series(1, %s) AS n",
        (waiting,),
    )
    connection.execute("ANALYZE procrastinate_jobs")


def rate(connection: psycopg.Connection, seconds: float) -> float:
    """Count what goes in so many seconds once the worker is at it."""
    first = left(connection)
    while left(connection) == first:
        time.sleep(0.01)
    begun, first = time.perf_counter(), left(connection)
    time.sleep(seconds)
    return (first - left(connection)) / (time.perf_counter() - begun)


def left(connection: psycopg.Connection) -> int:
    """Return how many jobs are still there."""
    row = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    assert row
    return int(row[0])


def latency(settings: Settings, connection: psycopg.Connection) -> list[float]:
    """Return the milliseconds from a commit to the first line of the handler, one job at a time."""
    connection.execute("CREATE TABLE began (n int, at double precision); GRANT ALL ON began TO registry_app")
    found: list[float] = []
    with database.connect(settings, "registry") as client:
        for n in range(_ROUNDS):
            jobs.defer(client, "stamp", queue="bench", n=n)
            committed = time.time()
            client.commit()
            while not (row := connection.execute("SELECT at FROM began WHERE n = %s", (n,)).fetchone()):
                time.sleep(0.001)
            found.append((row[0] - committed) * 1_000)
    return found


def peer(connection: psycopg.Connection, waiting: int, seconds: float) -> float:
    """Claim and finish rows of a bare table, each step in its transaction."""
    connection.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, doing boolean NOT NULL DEFAULT false)")
    connection.execute("CREATE INDEX ON bare (id) WHERE NOT doing")
    connection.execute("INSERT INTO bare (doing) SELECT false FROM generate_series(1, %s)", (waiting,))
    connection.execute("ANALYZE bare")
    claim = "SELECT id FROM bare WHERE NOT doing ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        row = connection.execute(f"UPDATE bare SET doing = true WHERE id = ({claim}) RETURNING id").fetchone()
        assert row
        connection.execute("DELETE FROM bare WHERE id = %s", row)
        done += 1
    return done / (time.perf_counter() - begun)


@contextmanager
def worker(settings: Settings, concurrency: int) -> Iterator[None]:
    """Run a worker on this module's handlers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.jobs", "worker", str(concurrency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    with process.stdin as stdin:
        stdin.write(settings.model_dump_json().encode())
    try:
        process.stdout.readline()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def run_worker() -> int:
    """Be the worker."""
    settings = Settings.model_validate_json(sys.stdin.read())
    return jobs.run_worker(
        settings,
        "registry",
        "bench.jobs",
        concurrency=int(sys.argv[2]),
        on_ready=lambda: print("ready", flush=True),
    )


if __name__ == "__main__":
    sys.exit(run_worker() if sys.argv[1:2] == ["worker"] else main())
