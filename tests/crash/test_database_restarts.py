"""The database goes away in the middle of transactions: nothing is lost, and nothing has its effect twice (F4)."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from groundglass.core.postgres import Postgres
from groundglass.demo import phantom, variants
from groundglass.demo.elements import Part10
from support.crash import packages, send_until_taken, settings
from support.stack import Stack

SERIES, SLICES, ASSOCIATIONS = 12, 6, 4
ARCHIVED = SERIES * SLICES
# Each action and how often it may stand in the audit log for one subject.
ONCE = ("intake.settle", "intake.process", "intake.receipt", "package.receive", "package.archive")


def series(n: int) -> list[Part10]:
    files = list(phantom.objects(600 + n, slices=SLICES, rows=64, columns=64))
    return [*files, variants.localizer(files[0])]


def send_all(stack: Stack) -> int:
    with ThreadPoolExecutor(ASSOCIATIONS) as pool:
        return sum(pool.map(lambda n: send_until_taken(stack, series(n), calling=f"CT{n % 3}"), range(SERIES)))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    with Stack(folder, settings(folder)) as stack:
        stack.wait_quiet(send_all(stack))
        yield packages(stack)


def superuser(stack: Stack, zone: str = "postgres") -> str:
    return Postgres(stack.data / "postgres", stack.data / "secrets" / "postgres").conninfo(zone)


def kill(stack: Stack) -> None:
    """SIGKILL the server: its own children die with it, whatever they were writing."""
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        stack.kill("postgres")


def cut(stack: Stack) -> None:
    """End every session that is in a transaction, or every one when none is: the server itself lives on."""
    ending = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND pid <> pg_backend_pid()"
    )
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(superuser(stack), autocommit=True) as session,
    ):
        if not session.execute(f"{ending} AND xact_start IS NOT NULL").rowcount:
            session.execute(ending)


def restart_while_sending(folder: Path, undisturbed: dict[str, str], *, times: int, seed: int) -> None:
    chance, pause, taken = random.Random(seed), threading.Event(), list[int]()
    with Stack(folder, settings(folder)) as stack:
        sending = threading.Thread(target=lambda: taken.append(send_all(stack)))
        sending.start()
        for n in range(times):
            pause.wait(chance.uniform(0.1, 1.0))
            (kill if n % 2 else cut)(stack)
        sending.join()
        counts = stack.wait_quiet(taken[0])["total"]
        assert taken == [ARCHIVED + SERIES]
        assert (counts["archived"], counts["quarantined"]) == (ARCHIVED, SERIES), counts
        assert counts["received"] == counts["archived"] + counts["quarantined"] + counts["duplicates"]
        assert packages(stack) == undisturbed
        must_have_each_effect_once(stack)
        assert stack.run("audit", "verify").returncode == 0


def must_have_each_effect_once(stack: Stack) -> None:
    for zone in ("gateway", "registry"):
        with psycopg.connect(superuser(stack, zone)) as connection:
            rows = connection.execute("SELECT action, target, count(*) FROM event GROUP BY action, target").fetchall()
            held = connection.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'").fetchone()
        times = {(action, target): n for action, target, n in rows if action in ONCE}
        assert len(times) >= SERIES, f"{zone}: the log does not tell what happened: {sorted({row[0] for row in rows})}"
        assert set(times.values()) == {1}, {key: n for key, n in times.items() if n != 1}
        assert held == (0,)


def test_8_restarts_in_mid_transaction(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    restart_while_sending(tmp_path, undisturbed, times=8, seed=8)


@pytest.mark.soak
def test_50_restarts_in_mid_transaction(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    restart_while_sending(tmp_path, undisturbed, times=50, seed=50)
