"""From the spool to settled series, and the ledger that adds both at any moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from groundglass.config import Settings
from groundglass.gateway import items, ledger, sweep
from groundglass.gateway.intake import Intake
from groundglass.gateway.spool import Origin, Record, Spool, segment_path, segments

A, B = b"a" * 32, b"b" * 32


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def spool(settings: Settings) -> Iterator[Spool]:
    opened = Spool(settings.gateway_dir / "spool", key=bytes(32), segment_bytes=1000, high_water_pct=100)
    yield opened
    opened.close()


@pytest.fixture
def intake(settings: Settings) -> Iterator[Intake]:
    made = Intake(settings)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join()


def put(spool: Spool, token: bytes, data: bytes = b"x", *, sender: str = "CT1", association: int = 1) -> Record:
    return spool.append([data], Origin(sender, association, token, bytes(32), 0))


def count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    connection.commit()
    assert row
    return int(row[0])


def test_what_is_only_in_the_spool_is_counted_as_pending(settings: Settings, spool: Spool) -> None:
    for n in range(5):
        put(spool, A, b"%d" % n, sender="CT1" if n else "CT2")
    counts = ledger.ledger(settings)
    assert counts["total"] == {**counts["total"], "received": 5, "pending": 5, "archived": 0}
    assert counts["senders"]["CT2"]["pending"] == 1


def test_a_quiet_series_settles_into_one_intake_with_its_job(
    settings: Settings, spool: Spool, intake: Intake, gateway_db: psycopg.Connection
) -> None:
    for n in range(3):
        intake.on_record(put(spool, A, b"%d" % n))
    intake.on_record(put(spool, B))
    until(lambda: count(gateway_db, "SELECT count(*) FROM intake") == 2)
    assert count(gateway_db, "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'gateway.process'") == 2
    found = items.of_intake(gateway_db, count(gateway_db, "SELECT min(id) FROM intake"))
    with items.segments(settings.gateway_dir / "spool") as opened:
        assert sorted(opened.read(item, 10) for item in found) == [b"0", b"1", b"2"]
    assert ledger.ledger(settings)["total"]["pending"] == 4


def test_a_series_waits_while_its_association_is_open(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection
) -> None:
    slow = settings.model_copy(update={"gateway": settings.gateway.model_copy(update={"settle_seconds": 600.0})})
    made = Intake(slow)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        made.on_association(1, True)
        made.on_record(put(spool, A))
        made.on_record(put(spool, B, association=2))
        until(lambda: count(gateway_db, "SELECT count(*) FROM intake") == 1)  # B: nothing feeds it
        assert count(gateway_db, "SELECT count(*) FROM intake_part WHERE intake_id IS NULL") == 1
        made.on_association(1, False)
        until(lambda: count(gateway_db, "SELECT count(*) FROM intake") == 2)
    finally:
        made.stop()
        thread.join()


def test_a_restart_registers_what_the_spool_holds_once(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection
) -> None:
    for n in range(4):
        put(spool, A, b"%d" % n * 400)
    for _ in range(2):
        made = Intake(settings)
        thread = threading.Thread(target=made.run)
        thread.start()
        until(lambda: count(gateway_db, "SELECT coalesce(sum(n), 0) FROM intake_part") == 4)
        made.stop()
        thread.join()
    assert count(gateway_db, "SELECT coalesce(sum(n), 0) FROM intake_part") == 4
    assert ledger.ledger(settings)["total"]["received"] == 4


def test_centres_come_from_the_list_or_are_the_title_itself(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection
) -> None:
    listed = settings.gateway.model_copy(update={"allowed_aets": ["CT1=NORD", "CT2"]})
    made = Intake(settings.model_copy(update={"gateway": listed}))
    thread = threading.Thread(target=made.run)
    thread.start()
    for sender in ("CT1", "CT2"):
        made.on_record(put(spool, A, sender=sender))
    until(lambda: count(gateway_db, "SELECT count(*) FROM intake") == 2)
    made.stop()
    thread.join()
    rows = gateway_db.execute("SELECT sender, centre FROM intake_part ORDER BY sender").fetchall()
    assert rows == [("CT1", "NORD"), ("CT2", "CT2")]


def test_a_segment_goes_when_nothing_of_it_waits_and_the_ledger_stays(
    settings: Settings, spool: Spool, intake: Intake, gateway_db: psycopg.Connection
) -> None:
    for n in range(4):
        intake.on_record(put(spool, A, b"%d" % n * 600))
    folder = settings.gateway_dir / "spool"
    until(lambda: count(gateway_db, "SELECT count(*) FROM intake") == 1)
    before = segments(folder)
    sweep.remove_segments(gateway_db, settings)
    assert segments(folder) == before
    gateway_db.execute("UPDATE intake_part SET offsets = NULL, lengths = NULL")
    gateway_db.execute("INSERT INTO outcome SELECT id, 'CT1', 'archived', '', 4 FROM intake")
    gateway_db.commit()
    sweep.remove_segments(gateway_db, settings)
    assert segments(folder) == before[-1:]
    counts = ledger.ledger(settings)["total"]
    assert (counts["received"], counts["archived"], counts["pending"]) == (4, 4, 0)


def test_a_segment_stays_that_is_registered_while_its_removal_looks(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2):
        put(spool, A, b"%d" % n * 900)
    folder = settings.gateway_dir / "spool"
    first = segments(folder)[0]
    gateway_db.execute("INSERT INTO segment (id) VALUES (%s)", (first,))
    gateway_db.commit()
    looks = sweep._LOCKED.replace("FOR UPDATE", "AND pg_sleep(0.5) IS NOT NULL FOR UPDATE")
    monkeypatch.setattr(sweep, "_LOCKED", looks)
    watched = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    url = settings.gateway.database_url or ""
    with psycopg.connect(url) as other, psycopg.connect(url) as watch:
        removal = threading.Thread(target=sweep.remove_segments, args=(other, settings))
        with gateway_db.transaction():
            gateway_db.execute("SELECT 1 FROM segment WHERE id = %s FOR UPDATE", (first,))
            removal.start()
            until(lambda: count(watch, watched) == 1)
            Intake(settings)._register_segment(gateway_db, first, None)
        removal.join()
    assert first in segments(folder)


def test_a_removal_that_a_kill_cut_short_is_finished(
    settings: Settings, spool: Spool, intake: Intake, gateway_db: psycopg.Connection
) -> None:
    for n in range(2):
        intake.on_record(put(spool, A, b"%d" % n * 900))
    until(lambda: count(gateway_db, "SELECT count(*) FROM intake") == 1)
    folder = settings.gateway_dir / "spool"
    first = segments(folder)[0]
    gateway_db.execute("UPDATE intake_part SET offsets = NULL, lengths = NULL")
    gateway_db.execute("UPDATE segment SET removed_at = now() WHERE id = %s", (first,))
    gateway_db.commit()
    assert ledger.ledger(settings)["total"]["received"] == 2
    sweep.remove_segments(gateway_db, settings)
    assert not segment_path(folder, first).exists()


def test_the_database_away_for_a_while(settings: Settings, spool: Spool, tmp_path: Path) -> None:
    url = "host=/nowhere dbname=x connect_timeout=1"
    away = settings.model_copy(update={"gateway": settings.gateway.model_copy(update={"database_url": url})})
    made = Intake(away)
    thread = threading.Thread(target=made.run)
    thread.start()
    made.on_record(put(spool, A))
    made.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_the_gateway_forgets_the_last_segment_too(
    settings: Settings, spool: Spool, intake: Intake, gateway_db: psycopg.Connection
) -> None:
    first = put(spool, A)
    intake.on_record(first)
    until(lambda: count(gateway_db, "SELECT count(*) FROM intake") == 1)
    gateway_db.execute("UPDATE intake_part SET offsets = NULL, lengths = NULL")
    gateway_db.execute("INSERT INTO outcome SELECT id, 'CT1', 'archived', '', 1 FROM intake")
    gateway_db.commit()
    spool.roll()  # what the receiver does when nobody comes
    sweep.remove_segments(gateway_db, settings)
    assert not segment_path(settings.gateway_dir / "spool", first.segment).exists()
    intake.on_record(put(spool, B))
    until(lambda: count(gateway_db, "SELECT count(*) FROM intake_part") == 2)
    assert ledger.ledger(settings)["total"]["received"] == 2
