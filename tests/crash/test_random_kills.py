"""Any process, at any moment, while four associations send: everything acknowledged is accounted for exactly once."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from groundglass.demo import phantom
from groundglass.demo.elements import Part10
from support.crash import must_be_as_undisturbed, packages, send_until_taken, settings
from support.stack import ROLES, Stack

SERIES, SLICES, ASSOCIATIONS = 8, 10, 4
VICTIMS = (*ROLES, "postgres", "everything")


def series() -> list[list[Part10]]:
    return [list(phantom.objects(50 + n, slices=SLICES, rows=64, columns=64)) for n in range(SERIES)]


def send_all(stack: Stack) -> int:
    with ThreadPoolExecutor(ASSOCIATIONS) as pool:
        return sum(
            pool.map(lambda one: send_until_taken(stack, one[1], calling=f"CT{one[0] % 4}"), enumerate(series()))
        )


def kill(stack: Stack, victim: str) -> None:
    if victim == "everything":
        stack.kill_all()
        stack.start()
        return
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):  # it died of its own just now
        stack.kill(victim)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    with Stack(folder, settings(folder)) as stack:
        stack.wait_quiet(send_all(stack))
        yield packages(stack)


def disturb(folder: Path, undisturbed: dict[str, str], *, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    with Stack(folder, settings(folder)) as stack:
        sent: list[int] = []
        sending = threading.Thread(target=lambda: sent.append(send_all(stack)))
        sending.start()
        pause = threading.Event()
        for n in range(kills):
            pause.wait(chance.uniform(0.0, 0.8))
            kill(stack, chance.choice(VICTIMS))
            if n % 10 == 9:  # a worker that never lives for a second would never finish: nor does anybody else's
                pause.wait(3)
        sending.join()
        must_be_as_undisturbed(stack, sent[0], archived=SERIES * SLICES, undisturbed=undisturbed)


def test_20_random_kills(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    disturb(tmp_path, undisturbed, kills=20, seed=20)


@pytest.mark.soak
def test_200_random_kills(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    disturb(tmp_path, undisturbed, kills=200, seed=200)
