"""Jobs: at least once, effects exactly once, whatever dies (F4, F8)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from groundglass import config
from groundglass.core import audit, database, jobs
from groundglass.core.database import connect
from groundglass.core.postgres import Postgres
from groundglass.errors import NotFoundError
from support.job_handlers import DONE
from support.job_worker import Worker, until

StartWorker = Callable[..., Worker]


QUICK = config.Jobs(
    heartbeat_seconds=0.3, stalled_seconds=1.5, reclaim_seconds=0.3, sweep_seconds=0.5, retry_seconds=0.05
)


@pytest.fixture
def quick(settings: config.Settings) -> config.Settings:
    return settings.model_copy(update={"jobs": QUICK})


@pytest.fixture
def db(quick: config.Settings) -> Iterator[psycopg.Connection]:
    with connect(quick, "registry", autocommit=True) as conn:
        conn.execute(DONE)
        yield conn


@pytest.fixture
def start(quick: config.Settings, tmp_path: Path) -> Iterator[StartWorker]:
    started: list[Worker] = []

    def run(**options: object) -> Worker:
        started.append(Worker(quick, tmp_path, **options))  # type: ignore[arg-type]
        return started[-1].ready()

    yield run
    for worker in started:
        worker.close()


def count(conn: psycopg.Connection, task: str, n: int | None = None) -> int:
    query = "SELECT count(*) FROM done WHERE task = %s AND (%s::int IS NULL OR n = %s)"
    row = conn.execute(query, (task, n, n)).fetchone()
    assert row
    return int(row[0])


def waiting(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')").fetchone()
    assert row
    return int(row[0])


def defer(conn: psycopg.Connection, task: str, n: int = 1, **options: str) -> bool:
    return jobs.defer(conn, task, queue="test", n=n, **options)  # type: ignore[arg-type]


def cut_connections(conn: psycopg.Connection) -> None:
    conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )


# Enqueueing


def test_a_job_is_of_the_transaction_that_defers_it(quick: config.Settings, db: psycopg.Connection) -> None:
    with connect(quick, "registry") as conn:
        assert defer(conn, "note")  # the very first statement
        assert waiting(db) == 0
        conn.rollback()
        assert waiting(db) == 0
        assert defer(conn, "note")
        conn.commit()
    assert waiting(db) == 1


def test_a_second_one_that_waits_is_left_out_and_the_transaction_goes_on(
    quick: config.Settings, db: psycopg.Connection
) -> None:
    with connect(quick, "registry") as conn:
        assert defer(conn, "note", queueing_lock="note:1")
        assert not defer(conn, "note", queueing_lock="note:1")
        assert jobs.effect(conn, "kind", "subject", "1")
        assert defer(conn, "note", queueing_lock="note:2")
        conn.commit()
    assert waiting(db) == 2
    assert jobs.has_effect(db, "kind", "subject", "1")


@pytest.mark.parametrize("value", ["MOREAU TESTEUR", "a\nb", "", "é", "x" * 129, 1.5, None, True, b"x"])
def test_arguments_are_identifiers(db: psycopg.Connection, value: object) -> None:
    with pytest.raises(ValueError, match="identifiers"):
        jobs.defer(db, "note", queue="test", n=value)  # type: ignore[arg-type]


def test_an_effect_is_had_once(quick: config.Settings, db: psycopg.Connection) -> None:
    with connect(quick, "registry") as first, connect(quick, "registry") as second:
        assert jobs.effect(first, "k", "s", "1")
        answers: list[bool] = []
        other = threading.Thread(target=lambda: answers.append(jobs.effect(second, "k", "s", "1")))
        other.start()
        until(lambda: db.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())
        first.commit()
        other.join()
        assert answers == [False]
        second.rollback()
        assert jobs.effect(second, "k", "s", "2")


# Working


def test_jobs_are_done_and_forgotten(db: psycopg.Connection, start: StartWorker) -> None:
    for n in range(20):
        defer(db, "note", n)
    worker = start()
    until(lambda: waiting(db) == 0)
    assert [row[0] for row in db.execute("SELECT n FROM done ORDER BY n")] == list(range(20))
    assert db.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    parents = {row[0] for row in db.execute("SELECT parent FROM done")}
    assert parents == {worker.process.pid}, "handlers run in children"
    assert worker.stop() == 0


def test_a_job_starts_at_once(db: psycopg.Connection, start: StartWorker) -> None:
    start()
    took = []
    for n in range(20):
        begun = time.perf_counter()
        defer(db, "note", n)
        until(lambda n=n: count(db, "note", n))  # type: ignore[misc]
        took.append(time.perf_counter() - begun)
    assert sorted(took)[10] < 0.25, "0.02 s on a quiet machine, 1 s where LISTEN does not work"


def test_what_fails_now_and_then_succeeds(db: psycopg.Connection, start: StartWorker) -> None:
    defer(db, "fail_twice")
    worker = start()
    until(lambda: waiting(db) == 0)
    assert count(db, "fail_twice") == 3
    assert jobs.held_jobs(db) == []
    assert "MOREAU" not in worker.log


@pytest.mark.parametrize(
    ("task", "runs", "error"),
    [
        ("fail", 5, "LookupError"),
        ("die", 5, "ChildDied"),
        ("leave", 5, "SystemExit"),
        ("impossible", 1, "no-such-thing"),
    ],
)
def test_what_never_succeeds_is_held_and_can_be_resumed(
    db: psycopg.Connection, start: StartWorker, task: str, runs: int, error: str
) -> None:
    defer(db, task, 7, queueing_lock="x:7")
    worker = start()
    until(lambda: jobs.held_jobs(db))
    (held,) = jobs.held_jobs(db)
    assert (held.task, held.ids, held.failures, held.error) == (task, {"n": 7}, runs, error)
    assert count(db, "note") == runs
    assert not defer(db, task, 7, queueing_lock="x:7"), "what is held is not enqueued again"
    jobs.resume(db, held.id, by="admin")
    until(lambda: count(db, "note") == 2 * runs)
    until(lambda: jobs.held_jobs(db))
    assert db.execute("SELECT actor, action FROM event").fetchall() == [("admin", "job.resume")]
    assert audit.verify(db) is None
    defer(db, "nothing")
    until(lambda: waiting(db) == 0)
    assert "MOREAU" not in worker.log
    assert worker.process.poll() is None, "a child's death is not the worker's"


def test_only_what_is_held_is_resumed(db: psycopg.Connection) -> None:
    defer(db, "note")
    for number in (1, 99):
        with pytest.raises(NotFoundError):
            jobs.resume(db, number)


@pytest.mark.parametrize("task", ["later", "no_room"])
def test_waiting_for_what_is_away_is_no_failure(db: psycopg.Connection, start: StartWorker, task: str) -> None:
    defer(db, task)
    start()
    begun = time.monotonic()
    until(lambda: waiting(db) == 0)
    assert count(db, task) == 8
    assert db.execute("SELECT count(*) FROM job_failure").fetchone() == (0,)
    assert time.monotonic() - begun < 7, "a job is taken up when its time has come, not at the next poll"
    assert jobs.held_jobs(db) == []


def test_a_retry_gives_way_to_one_like_it_that_waits(db: psycopg.Connection, start: StartWorker) -> None:
    """procrastinate alone leaves the job `doing` for ever: its lock is taken."""
    defer(db, "fail", queueing_lock="same")
    db.execute("UPDATE procrastinate_jobs SET status = 'doing'")  # of no worker: to be reclaimed
    assert defer(db, "fail", queueing_lock="same")
    db.execute("SELECT job_reclaim(1, 5)")
    assert db.execute("SELECT id, status FROM procrastinate_jobs").fetchall() == [(2, "todo")]
    start()
    until(lambda: len(jobs.held_jobs(db)) == 1 and waiting(db) == 0)
    (held,) = jobs.held_jobs(db)
    assert held.failures == 5
    assert count(db, "note") == 4, "it inherited the failure of the first"


def test_one_lock_is_worked_on_by_one_at_a_time(db: psycopg.Connection, start: StartWorker) -> None:
    for n in range(4):
        defer(db, "note", n, lock="series")
    start(concurrency=2)
    until(lambda: waiting(db) == 0)
    assert [row[0] for row in db.execute("SELECT n FROM done ORDER BY id")] == [0, 1, 2, 3]


def test_an_unknown_task_is_held(db: psycopg.Connection, start: StartWorker) -> None:
    defer(db, "from_the_future")
    start()
    until(lambda: jobs.held_jobs(db))
    assert jobs.held_jobs(db)[0].error == "UnknownTask"


# Dying


def test_what_a_killed_worker_did_is_done_by_another(db: psycopg.Connection, start: StartWorker) -> None:
    first = start()
    defer(db, "slow_first")
    until(lambda: count(db, "begun") == 1)
    (pid,) = db.execute("SELECT pid FROM done").fetchone() or (0,)
    first.kill()
    until(lambda: not Path(f"/proc/{pid}/status").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text())
    start()
    killed = time.monotonic()
    until(lambda: count(db, "slow_first") == 1)
    assert time.monotonic() - killed < 10
    until(lambda: waiting(db) == 0)


def test_a_job_that_kills_its_workers_is_held(db: psycopg.Connection, start: StartWorker) -> None:
    defer(db, "slow_first")
    db.execute("INSERT INTO job_failure (job_id, failures, error) VALUES (1, 4, 'WorkerDied')")
    first = start()
    until(lambda: count(db, "begun") == 1)
    first.kill()
    start()
    until(lambda: jobs.held_jobs(db))
    assert jobs.held_jobs(db)[0].error == "WorkerDied"


def test_a_child_that_holds_its_interpreter_does_not_look_dead(db: psycopg.Connection, start: StartWorker) -> None:
    first, second = start(), start()
    defer(db, "hold_the_interpreter")
    until(lambda: count(db, "note") == 1)
    until(lambda: waiting(db) == 0)
    assert (first.process.poll(), second.process.poll()) == (None, None)
    assert db.execute("SELECT count(*) FROM job_failure").fetchone() == (0,)


def test_a_pruned_worker_ends_so_that_it_is_started_again(db: psycopg.Connection, start: StartWorker) -> None:
    worker = start()
    until(lambda: db.execute("DELETE FROM procrastinate_workers RETURNING id").fetchone())
    defer(db, "note")
    assert worker.process.wait(timeout=20) == 1
    start()
    until(lambda: count(db, "note") == 1)


def test_a_stopped_clock_of_the_worker_loses_nothing(db: psycopg.Connection, start: StartWorker) -> None:
    """A worker that was frozen is taken for dead; waking up, it repeats the work, and one effect remains."""
    frozen = start(concurrency=1)
    frozen.process.send_signal(signal.SIGSTOP)
    for n in range(5):
        defer(db, "once", n)
    start()
    until(lambda: waiting(db) == 0)
    frozen.process.send_signal(signal.SIGCONT)
    defer(db, "once", 5)
    until(lambda: waiting(db) == 0)
    assert [row[0] for row in db.execute("SELECT n FROM done ORDER BY n")] == list(range(6))


def test_a_worker_asked_to_end_finishes_what_it_does(db: psycopg.Connection, start: StartWorker) -> None:
    worker = start()
    defer(db, "hold_the_interpreter")
    until(lambda: db.execute("SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'").fetchone())
    assert worker.stop() == 0
    assert count(db, "note") == 1
    assert waiting(db) == 0
    assert db.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)


def test_a_worker_without_its_database_ends_with_1(
    quick: config.Settings, db: psycopg.Connection, start: StartWorker
) -> None:
    worker = start()
    until(lambda: db.execute("SELECT 1 FROM procrastinate_workers").fetchone())
    here = psycopg.conninfo.make_conninfo(quick.registry.database_url or "", dbname="postgres")
    with psycopg.connect(here, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {db.info.dbname} ALLOW_CONNECTIONS false")  # type: ignore[arg-type]
    cut_connections(db)
    assert worker.process.wait(timeout=60) == 1
    allowed = {"at", "level", "role", "logger", "error", "causes", "frames", "sqlstate", "event"}
    assert all(set(line) <= allowed for line in worker.events)


@pytest.mark.parametrize("rounds", [6, pytest.param(50, marks=pytest.mark.soak)])
def test_connections_cut_in_mid_transaction_double_nothing(
    db: psycopg.Connection, start: StartWorker, rounds: int
) -> None:
    """F4, as the handlers see it: the server ends their sessions at any moment."""
    for n in range(rounds * 10):
        defer(db, "once", n)
    workers = [start()]

    def progress(than: int) -> bool:
        if workers[-1].process.poll() is not None:  # as the supervisor does
            workers.append(start())
        for held in jobs.held_jobs(db):
            jobs.resume(db, held.id)
        return count(db, "once") > than or waiting(db) == 0

    for _ in range(rounds):
        done = count(db, "once")
        until(lambda done=done: progress(done))  # type: ignore[misc]
        cut_connections(db)
    until(lambda: progress(rounds * 10), seconds=60)
    assert count(db, "once") == rounds * 10
    assert db.execute("SELECT count(DISTINCT n) FROM done").fetchone() == (rounds * 10,)


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_a_server_killed_in_mid_transaction_doubles_and_loses_nothing(tmp_path: Path, rounds: int) -> None:
    """F4: the server dies by SIGKILL under a worker and an open transaction."""
    folder = Path(tempfile.mkdtemp(prefix="gg-jobs-"))
    settings = config.Settings(data=folder / "data", jobs=QUICK)
    workers: list[Worker] = []

    def supervised(condition: Callable[[], object]) -> bool:
        if not workers or workers[-1].process.poll() is not None:
            workers.append(Worker(settings, tmp_path).ready())
        return bool(condition())

    with database.owned(settings) as server:
        assert server
        _as_superuser(server, f"{DONE}; GRANT ALL ON done, done_id_seq TO registry_app")
        for turn in range(rounds):
            with connect(settings, "registry", autocommit=True) as db:
                for n in range(10):
                    defer(db, "once", turn * 10 + n)
                until(lambda turn=turn, db=db: supervised(lambda: count(db, "once") > turn * 10))  # type: ignore[misc]
            _die_in_mid_transaction(settings, server, turn)
            server.start()
        with connect(settings, "registry", autocommit=True) as db:
            until(lambda: supervised(lambda: waiting(db) == 0))
            assert [row[0] for row in db.execute("SELECT n FROM done ORDER BY n")] == list(range(rounds * 10))
            assert db.execute("SELECT count(*) FROM effect WHERE kind = 'never'").fetchone() == (0,)
        for worker in workers:
            worker.close()
    shutil.rmtree(folder)


def _die_in_mid_transaction(settings: config.Settings, server: Postgres, turn: int) -> None:
    with contextlib.suppress(psycopg.OperationalError), connect(settings, "registry") as conn:
        defer(conn, "once", 1_000_000 + turn)
        jobs.effect(conn, "never", str(turn), "1")
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        conn.execute("SELECT pg_sleep(60)")  # ends with its postmaster
    until(lambda: server.pid is None)


def _as_superuser(server: Postgres, statements: str) -> None:
    with psycopg.connect(server.conninfo("registry"), autocommit=True) as conn:
        conn.execute(statements)  # type: ignore[arg-type]


@pytest.mark.parametrize("subjects", [100, pytest.param(1_000, marks=pytest.mark.soak)])
def test_two_workers_on_each_subject_have_one_effect(db: psycopg.Connection, start: StartWorker, subjects: int) -> None:
    """F8: every subject is enqueued twice, for two workers that run at the same time."""
    start(), start()
    with db.transaction():
        for n in range(subjects):
            defer(db, "once", n)
            defer(db, "once", n)
    until(lambda: waiting(db) == 0, seconds=120)
    assert count(db, "once") == subjects
    assert db.execute("SELECT count(DISTINCT n) FROM done").fetchone() == (subjects,)


def test_a_fail_point_kills_a_child_once(db: psycopg.Connection, start: StartWorker) -> None:
    worker = start(environment={"GROUNDGLASS_FAILPOINT": "nowhere"})
    defer(db, "die")
    until(lambda: jobs.held_jobs(db))
    pids = [row[0] for row in db.execute("SELECT pid FROM done")]
    assert len(set(pids)) == 5
    children = Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children").read_text().split()
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in children]
    assert sum(b"GROUNDGLASS_FAILPOINT" in environment for environment in environments) < len(environments)


# Sweeping


def test_a_job_table_that_was_wiped_is_filled_again(db: psycopg.Connection, start: StartWorker) -> None:
    db.execute("CREATE TABLE wanted AS SELECT generate_series(1, 10) AS n")
    for n in range(1, 11):
        defer(db, "once", n)
    db.execute("TRUNCATE procrastinate_jobs CASCADE")
    worker = start()
    until(lambda: count(db, "once") == 10)
    until(lambda: "sweep-failed" in worker.log)
    assert "MOREAU" not in worker.log


# Logs


def test_arguments_and_messages_are_logged_nowhere(db: psycopg.Connection, start: StartWorker) -> None:
    worker = start()
    jobs.defer(db, "fail", queue="test", n=424242, name="TOKEN-5e1f")
    until(lambda: jobs.held_jobs(db))
    log = worker.log
    assert "job-failed" in log
    for secret in ("424242", "TOKEN-5e1f", "MOREAU", "patient"):
        assert secret not in log
    assert str(Path(__file__).parents[2]) not in log
