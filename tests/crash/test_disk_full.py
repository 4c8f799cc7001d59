"""Promise 1 on a disk that is full: no false success, and once there is room everything acknowledged goes on by itself.

One small disk for the chapter. Each paragraph leaves just so much room that one step fails, waits until it has failed
more often than a job may, makes room, and expects what an undisturbed run gives.
"""

from __future__ import annotations

import contextlib
import random
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from groundglass.core.postgres import Postgres
from groundglass.demo import phantom, variants
from groundglass.demo.elements import Part10
from groundglass.gateway import quarantine
from groundglass.gateway.items import Item, segments
from groundglass.gateway.judgement import Held
from groundglass.gateway.spool import segment_path
from support.crash import packages, send_until_taken, settings
from support.sending import send
from support.small_disk import SmallDisk, mounted
from support.stack import Stack, until

SLICES, SLICE_BYTES = 16, 512 * 512 * 2
SERIES_BYTES = SLICES * SLICE_BYTES
BACK_SECONDS = 60
FAILING_SECONDS = 5  # with the times of a Stack, a job that may fail five times has failed for good
OUT_OF_RESOURCES = 0xA700
FULL = {"GROUNDGLASS_GATEWAY__HIGH_WATER_PCT": "100", "GROUNDGLASS_GATEWAY__SEGMENT_MIB": "4"}
SPOOL, PACK, HOLD, PUT, MERGE, WAL = range(1, 7)  # seeds


def series(seed: int) -> list[Part10]:
    return list(phantom.objects(seed, slices=SLICES))


def localizers(seed: int) -> list[Part10]:
    return [variants.localizer(file) for file in series(seed)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The packages of a run in which nothing happens, all of one sender."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with Stack(folder, settings(folder)) as stack:
        for seed in (SPOOL, PACK, PUT, MERGE, WAL):
            assert send(stack, series(seed)) == [0] * SLICES
        stack.wait_quiet(5 * SLICES)
        yield packages(stack)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with mounted(tmp_path_factory.mktemp("small") / "disk", mib=480) as small:
        yield small


@pytest.fixture(scope="module")
def stack(disk: SmallDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("full")
    running = Stack(disk.folder, settings(folder, **FULL))
    running.logs = folder / "logs"
    with running:
        yield running


@pytest.fixture(autouse=True)
def room(disk: SmallDisk) -> Iterator[None]:
    yield
    disk.make_room()


def test_a_copy_for_the_quarantine_is_whole_or_fails(tmp_path: Path) -> None:
    """A disk that is nearly full takes a part of a write and says so by its length alone."""
    (file,) = phantom.objects(21, slices=1, rows=256, columns=256)
    (tmp_path / "spool").mkdir()
    segment_path(tmp_path / "spool", 1).write_bytes(file.to_bytes())
    item = Item(1, 0, "SENDER", "CENTRE", 1, 0, len(file.to_bytes()))
    with segments(tmp_path / "spool") as spool, largest_file(64 << 10), pytest.raises(OSError, match="File too large"):
        quarantine.keep(tmp_path / "held", [Held(item, "unreadable", "refuse")], spool)
    assert list((tmp_path / "held").iterdir()) == []


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def must_be_back(stack: Stack, before: dict[str, int], **gained: int) -> None:
    """Within 60 s nothing is pending, and the account has grown by exactly this."""
    received = before["received"] + sum(gained.values())
    after = stack.wait_quiet(received, seconds=BACK_SECONDS)["total"]
    assert {name: after[name] - before[name] for name in gained} == gained, after
    assert after["received"] == received == after["archived"] + after["quarantined"] + after["duplicates"]
    assert after["withdrawn"] == 0


def fails_without_room(stack: Stack, disk: SmallDisk, files: list[Part10], *, room: int, task: str) -> dict[str, int]:
    """Send with little room left, wait until the job of that step has failed for a while; return the account before."""
    before = stack.ledger()["total"]
    disk.leave(room)
    assert send(stack, files) == [0] * len(files)
    zone = task.partition(".")[0]
    with psycopg.connect(superuser(stack, zone), autocommit=True) as connection:
        until(lambda: tries(connection, task) >= 2, 60, lambda: f"nothing failed: {disk.room} bytes are left")
        threading.Event().wait(FAILING_SECONDS)
        assert held(connection) == 0, "a job was given up for want of room"
    disk.make_room()
    return before


def held(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'").fetchone()
    return int(row[0])


def tries(connection: psycopg.Connection, task: str) -> int:
    row = connection.execute(
        "SELECT coalesce(max(attempts), 0) FROM procrastinate_jobs WHERE task_name = %s", (task,)
    ).fetchone()
    return int(row[0])


def test_a_full_spool_answers_out_of_resources_and_never_a_false_success(
    stack: Stack, disk: SmallDisk, undisturbed: dict[str, str]
) -> None:
    before, files = stack.ledger()["total"], series(SPOOL)
    disk.leave(5 * SLICE_BYTES)
    statuses = send(stack, files)
    assert set(statuses) == {0, OUT_OF_RESOURCES}
    assert statuses.count(0) <= 5
    disk.make_room()
    left = [file for file, status in zip(files, statuses, strict=True) if status]
    assert send(stack, left) == [0] * len(left)
    must_be_back(stack, before, archived=SLICES)
    assert packages(stack).items() <= undisturbed.items()


def test_a_disk_above_its_high_water_mark_answers_out_of_resources(tmp_path: Path) -> None:
    (file,) = phantom.objects(20, slices=1, rows=64, columns=64)
    with Stack(tmp_path, {"GROUNDGLASS_GATEWAY__HIGH_WATER_PCT": "0.001"}) as stack:
        assert send(stack, [file]) == [OUT_OF_RESOURCES]
        assert stack.ledger()["total"]["received"] == 0


def test_no_room_to_pack(stack: Stack, disk: SmallDisk, undisturbed: dict[str, str]) -> None:
    before = fails_without_room(
        stack, disk, series(PACK), room=SERIES_BYTES + SERIES_BYTES // 2, task="gateway.process"
    )
    must_be_back(stack, before, archived=SLICES)
    assert packages(stack).items() <= undisturbed.items()


def test_no_room_for_the_quarantine(stack: Stack, disk: SmallDisk) -> None:
    room = SERIES_BYTES + SERIES_BYTES // 2
    before = fails_without_room(stack, disk, localizers(HOLD), room=room, task="gateway.process")
    must_be_back(stack, before, quarantined=SLICES)
    held = [path for path in (stack.data / "gateway" / "quarantine").iterdir() if not path.name.startswith(".")]
    assert len(held) == stack.ledger()["total"]["quarantined"]
    assert all((path / "original.dcm").stat().st_size > SLICE_BYTES for path in held)


def test_no_room_where_the_registry_takes_the_package(
    stack: Stack, disk: SmallDisk, undisturbed: dict[str, str]
) -> None:
    room = 2 * SERIES_BYTES + SERIES_BYTES // 2
    before = fails_without_room(stack, disk, series(PUT), room=room, task="gateway.send")
    must_be_back(stack, before, archived=SLICES)
    assert packages(stack).items() <= undisturbed.items()


def test_the_database_cannot_write_its_log(stack: Stack, disk: SmallDisk, undisturbed: dict[str, str]) -> None:
    before, files, taken = stack.ledger()["total"], series(WAL), list[int]()
    sending = threading.Thread(target=lambda: taken.append(send_until_taken(stack, files)))
    disk.leave(0)
    sending.start()
    fill_the_write_ahead_log(stack)  # the server panics, recovers, and panics again at the next write
    threading.Event().wait(FAILING_SECONDS)
    disk.make_room()
    sending.join()
    must_be_back(stack, before, archived=SLICES)
    assert taken == [SLICES]
    assert answers(stack)
    assert packages(stack).items() <= undisturbed.items()
    assert stack.run("audit", "verify").returncode == 0


def test_no_room_for_the_next_version_of_a_series(stack: Stack, disk: SmallDisk, undisturbed: dict[str, str]) -> None:
    before, files = stack.ledger()["total"], series(MERGE)
    half = SLICES // 2
    assert send(stack, files[:half]) == [0] * half
    must_be_back(stack, before, archived=half)
    part = half * SLICE_BYTES  # once in the spool, the outbox and the inbox; all of the series in the merged version
    before = fails_without_room(stack, disk, files[half:], room=4 * part, task="registry.archive")
    must_be_back(stack, before, archived=SLICES - half)
    assert packages(stack).items() <= undisturbed.items()


def superuser(stack: Stack, database: str = "postgres") -> str:
    return Postgres(stack.data / "postgres", stack.data / "secrets" / "postgres").conninfo(database)


def answers(stack: Stack) -> bool:
    try:
        with psycopg.connect(superuser(stack)):
            return True
    except psycopg.OperationalError:
        return False


def fill_the_write_ahead_log(stack: Stack) -> None:
    """Write until a new segment of the log is needed and cannot be made."""
    fill = "SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 1000000)), pg_switch_wal()"
    try:
        with psycopg.connect(superuser(stack), autocommit=True) as writing:
            while True:
                writing.execute(fill)
    except psycopg.OperationalError:
        return


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_full_at_any_moment(seed: int, tmp_path: Path) -> None:
    chance, files = random.Random(seed), [file for n in range(4) for file in series(100 + n)]
    with mounted(tmp_path / "disk", mib=480) as disk:
        stack = Stack(disk.folder, settings(tmp_path, **FULL))
        stack.logs = tmp_path / "logs"
        with stack:
            taken: list[int] = []
            sending = threading.Thread(target=lambda: taken.append(send_until_taken(stack, files)))
            sending.start()
            pause = threading.Event()
            for _ in range(4):
                pause.wait(chance.uniform(0, 1.5))
                disk.leave(chance.randrange(0, 2 * SERIES_BYTES))
                pause.wait(chance.uniform(0.5, 3))
                disk.make_room()
            sending.join()
            must_be_back(stack, {"received": 0, "archived": 0}, archived=len(files))
            assert taken == [len(files)]
