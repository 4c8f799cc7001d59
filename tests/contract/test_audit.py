"""The audit log cannot be changed unseen (A15), nor changed at all by the application."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.errors import InsufficientPrivilege

from groundglass import config
from groundglass.core import audit, database
from groundglass.core.audit import Broken, Chain, Event

ROUNDS = 1_000


def fill(conn: psycopg.Connection, count: int) -> None:
    for number in range(count):
        audit.record(conn, by="curator", action="case.accept", target=f"case {number}", detail={"n": number, "é": "ü"})
    conn.commit()


def events(conn: psycopg.Connection) -> list[Event]:
    rows = conn.execute(
        "SELECT id, at, actor, action, target, detail, prev_hash, hash FROM event ORDER BY id"
    ).fetchall()
    return [event for row in rows if (event := audit._event(row))]


def first_fault(chain_of: list[Event], head: tuple[int, bytes]) -> Broken | None:
    chain = Chain()
    for event in chain_of:
        if fault := chain.check(event):
            return fault
    return chain.end(*head)


def test_an_event_lies_in_the_transaction_that_it_tells_of(gateway_db: psycopg.Connection) -> None:
    audit.record(gateway_db, by="admin", action="token.issue", target="token 1")
    gateway_db.rollback()
    assert events(gateway_db) == []
    audit.record(gateway_db, by="admin", action="token.issue", target="token 1", detail={"role": "curator"})
    gateway_db.commit()
    (event,) = events(gateway_db)
    assert event.prev_hash == bytes(32)
    said = {"actor": "admin", "action": "token.issue", "target": "token 1", "detail": {"role": "curator"}}
    assert {**event.fields, "at": ""} == {"id": 1, "at": "", **said}
    assert abs((datetime.now(UTC) - datetime.fromisoformat(str(event.fields["at"]))).total_seconds()) < 60
    assert audit.verify(gateway_db) is None


def test_an_empty_log_is_intact(gateway_db: psycopg.Connection) -> None:
    assert audit.verify(gateway_db) is None


def test_numbers_have_no_gaps_when_many_write_and_some_roll_back(settings: config.Settings) -> None:
    def write(seed: int) -> None:
        rolls = random.Random(seed)
        with database.connect(settings, "gateway") as conn:
            for _ in range(25):
                audit.record(conn, by="worker", action="x", target="y")
                conn.rollback() if rolls.random() < 0.3 else conn.commit()

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with database.connect(settings, "gateway") as conn:
        numbers = [event.fields["id"] for event in events(conn)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 50
        assert audit.verify(conn) is None


ATTACKS = ("edit", "delete", "insert", "swap", "cut")


def attacked(kind: str, intact: list[Event], rolls: random.Random) -> list[Event]:
    """Return the chain after one change by somebody who may write anything but does not rehash everything."""
    chain = list(intact)
    at = rolls.randrange(len(chain))
    event = chain[at]
    if kind == "edit":
        name = rolls.choice(["at", "actor", "action", "target", "detail", "hash", "prev_hash"])
        if name in ("hash", "prev_hash"):
            chain[at] = dataclasses.replace(event, **{name: rolls.randbytes(32)})
        else:
            chain[at] = dataclasses.replace(event, fields={**event.fields, name: {"x": 1} if name == "detail" else "x"})
    elif kind == "delete":
        del chain[at]
        if rolls.random() < 0.5:  # close the gap in the numbers
            chain[at:] = [dataclasses.replace(e, fields={**e.fields, "id": e.fields["id"] - 1}) for e in chain[at:]]
    elif kind == "insert":
        forged = dataclasses.replace(event, fields={**event.fields, "target": "forged", "id": event.fields["id"] + 1})
        chain.insert(at + 1, forged)
    elif kind == "swap":
        other = rolls.choice([index for index in range(len(chain)) if index != at])
        chain[at], chain[other] = chain[other], chain[at]
        if rolls.random() < 0.5:  # swap only what they say
            first, second = chain[at], chain[other]
            chain[at] = dataclasses.replace(first, fields={**first.fields, "id": second.fields["id"]})
            chain[other] = dataclasses.replace(second, fields={**second.fields, "id": first.fields["id"]})
    else:
        del chain[at:]
    return chain


@pytest.mark.parametrize("kind", ATTACKS)
def test_every_change_of_a_thousand_is_found(gateway_db: psycopg.Connection, kind: str) -> None:
    fill(gateway_db, 40)
    intact = events(gateway_db)
    head = len(intact), intact[-1].hash
    assert first_fault(intact, head) is None
    rolls = random.Random(kind)
    missed = [n for n in range(ROUNDS) if first_fault(attacked(kind, intact, rolls), head) is None]
    assert missed == []


TAMPERING = {
    "an edited target": "UPDATE event SET target = 'x' WHERE id = 5",
    "an edited detail": "UPDATE event SET detail = '{}' WHERE id = 5",
    "an edited time": "UPDATE event SET at = at + interval '1 microsecond' WHERE id = 5",
    "an edited actor, hashed again": """
        UPDATE event SET actor = 'x', hash = sha256(prev_hash || 'x'::bytea) WHERE id = 5""",
    "a deleted event": "DELETE FROM event WHERE id = 5",
    "a deleted event, the rest renumbered": "DELETE FROM event WHERE id = 5; UPDATE event SET id = id - 1 WHERE id > 5",
    "the first deleted": "DELETE FROM event WHERE id = 1",
    "a cut tail": "DELETE FROM event WHERE id > 7",
    "everything deleted": "DELETE FROM event",
    "an added event": """
        INSERT INTO event SELECT 11, at, actor, action, target, detail, hash, hash FROM event WHERE id = 10""",
    "two swapped": """
        UPDATE event SET id = 100 WHERE id = 3; UPDATE event SET id = 3 WHERE id = 4;
        UPDATE event SET id = 4 WHERE id = 100""",
    "the head moved": "UPDATE event_head SET id = 9, hash = (SELECT hash FROM event WHERE id = 9)",
    "the head deleted": "DELETE FROM event_head",
}


@pytest.mark.parametrize("statements", TAMPERING.values(), ids=TAMPERING)
def test_what_a_superuser_changes_is_found(gateway_db: psycopg.Connection, statements: str) -> None:
    fill(gateway_db, 10)
    gateway_db.execute("ALTER TABLE event DISABLE TRIGGER USER; ALTER TABLE event_head DISABLE TRIGGER USER")
    gateway_db.execute(statements)
    assert audit.verify(gateway_db) is not None
    out = io.StringIO()
    audit.export(gateway_db, out)


@pytest.mark.parametrize(
    "statement", ["UPDATE event SET actor = 'x'", "DELETE FROM event", "TRUNCATE event", "DELETE FROM event_head"]
)
def test_no_role_may_change_or_delete(gateway_db: psycopg.Connection, statement: str) -> None:
    fill(gateway_db, 2)
    with pytest.raises(InsufficientPrivilege):
        gateway_db.execute(statement)
    gateway_db.rollback()
    assert len(events(gateway_db)) == 2


def test_the_application_may_only_append_and_read(tmp_path: Path) -> None:
    settings = config.Settings(data=tmp_path / "data")
    with database.owned(settings), database.connect(settings, "gateway", autocommit=True) as conn:
        audit.record(conn, by="admin", action="x", target="y")
        for statement in (
            "INSERT INTO event SELECT 2, at, actor, action, target, detail, hash, hash FROM event",
            "UPDATE event SET actor = 'x'",
            "DELETE FROM event",
            "TRUNCATE event",
            "UPDATE event_head SET id = 0",
            "DELETE FROM event_head",
            "ALTER TABLE event DISABLE TRIGGER ALL",
            "DROP TABLE event",
            "SET session_replication_role = replica",
        ):
            with pytest.raises(InsufficientPrivilege):
                conn.execute(statement)
        assert audit.verify(conn) is None


def test_an_export_verifies_by_itself_and_shows_every_change(gateway_db: psycopg.Connection, tmp_path: Path) -> None:
    fill(gateway_db, 30)
    out = io.StringIO()
    assert audit.export(gateway_db, out) == 30
    path = tmp_path / "audit.jsonl"
    path.write_text(out.getvalue(), encoding="utf-8")
    assert audit.verify_file(path) is None
    lines = out.getvalue().splitlines(keepends=True)
    rolls = random.Random(1)
    for _ in range(200):
        changed = list(lines)
        at = rolls.randrange(len(changed))
        match rolls.choice(["drop", "byte", "double", "swap"]):
            case "drop":
                del changed[at]
            case "double":
                changed.insert(at, changed[at])
            case "swap":
                other = rolls.choice([n for n in range(len(changed)) if n != at])
                changed[at], changed[other] = changed[other], changed[at]
            case "byte":
                spot = rolls.randrange(len(changed[at]) - 1)
                old = changed[at][spot]
                changed[at] = changed[at][:spot] + ("7" if old != "7" else "8") + changed[at][spot + 1 :]
        path.write_text("".join(changed), encoding="utf-8")
        assert audit.verify_file(path) is not None


ZERO = "00" * 32
HOSTILE_LINES = [
    *("", "{}", "[]", "null", '{"id":1}', "\xff", '{"head":"x","hash":""}', '{"head":0,"hash":"zz"}', "1e999"),
    *("[" * 5000, f'{{"id":true,"prev_hash":"{ZERO}","hash":"00"}}'),
    f'{{"id":1,"x":"\\ud800","prev_hash":"{ZERO}","hash":"00"}}',
]


@pytest.mark.parametrize("line", HOSTILE_LINES)
def test_a_file_that_is_no_export_is_broken_not_an_accident(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(line.encode("latin-1") + b"\n")
    assert isinstance(audit.verify_file(path), Broken)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("action", "Case Accept"), ("action", ""), ("by", ""), ("by", "a\nb"), ("by", "x" * 201), ("target", "a\0"),
        ("target", "\ud800"), ("detail", {"x": 0.5}), ("detail", {"x": "\0"}), ("detail", {"x": "\ud800"}),
        ("detail", {"x": b""}), ("detail", {"x": "y" * 20_000}), ("detail", {1: 2}), ("detail", {"x": [{"y": 1.0}]}),
    ],
)  # fmt: skip
def test_what_would_not_come_back_alike_is_refused(gateway_db: psycopg.Connection, name: str, value: object) -> None:
    given_values: dict[str, object] = {"by": "a", "action": "b", "target": "c", "detail": {}}
    with pytest.raises(ValueError, match=r"audit event|action"):
        audit.record(gateway_db, **{**given_values, name: value})  # type: ignore[arg-type]


printable = st.text(min_size=1, max_size=50).filter(str.isprintable)
clean = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | clean
details = st.dictionaries(clean, st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(clean, inner)))


@given(actor=printable, target=printable, detail=details)
def test_the_id_falls_into_its_place(actor: str, target: str, detail: dict[str, object]) -> None:
    fields = {"action": "x", "actor": actor, "at": "2020-04-01T00:00:00.000000Z", "detail": detail, "target": target}
    before, after = audit._around_id(fields)
    assert f"{before}17{after}".encode() == audit.canonical({**fields, "id": 17})


def test_any_detail_survives_the_database(gateway_db: psycopg.Connection) -> None:
    odd = [
        "\x01\x1f\x7f\x85\u2028",
        '"\\/',
        "\\u0000",
        "🫁",
        "e\u0301",
        10**30,
        -0,
        True,
        None,
        {"b": [[], {}], "a": 1},
    ]
    for value in odd:
        audit.record(gateway_db, by="é " * 10, action="x", target="œ", detail={"v": value})  # type: ignore[dict-item]
    gateway_db.execute("SET TIME ZONE 'Asia/Tokyo'")
    assert audit.verify(gateway_db) is None


def test_record_and_verify_are_fast_enough(gateway_db: psycopg.Connection) -> None:
    fill(gateway_db, 100)
    start = time.perf_counter()
    fill(gateway_db, 2_000)
    each_ms = (time.perf_counter() - start) / 2_000 * 1_000
    start = time.perf_counter()
    assert audit.verify(gateway_db) is None
    per_second = 2_100 / (time.perf_counter() - start)
    assert each_ms < 5, "1 ms on a quiet machine"
    assert per_second > 2_000
    print(json.dumps({"record_ms": round(each_ms, 3), "verify_per_s": round(per_second)}))
