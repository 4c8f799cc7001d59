"""The audit log: who did what to which thing, in the transaction that did it, in a chain that shows any change.

Each event's hash is SHA-256(hash of the event before || canonical JSON of the event). A head row holds the last id and
hash, so that a cut tail shows as well; a rewrite of everything shows against an exported copy only. Never put a patient
value in an event.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import psycopg

JsonValue: TypeAlias = "str | int | bool | list[JsonValue] | dict[str, JsonValue] | None"

_GENESIS = bytes(32)
_ACTION = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_LONGEST_NAME = 200
_LONGEST_DETAIL = 16_384
_BATCH = 5_000

_APPEND = "SELECT audit_append(%s, %s, %s, %s, %s::jsonb, %s, %s)"
_READ = """
SELECT head.id, head.hash, event.id, event.at, event.actor, event.action, event.target, event.detail,
       event.prev_hash, event.hash
FROM event_head AS head LEFT JOIN event ON true ORDER BY event.id
"""  # one statement, one snapshot: the head and its events belong together


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the chain first fails. `id` is the event that was expected or found there."""

    id: int
    reason: Literal["missing", "surplus", "unlinked", "altered", "unreadable"]


@dataclass(frozen=True, slots=True)
class Event:
    """One link: the fields that the hash covers, and the hashes."""

    fields: Mapping[str, Any]  # id, at (ISO 8601, UTC, microseconds), actor, action, target, detail
    prev_hash: bytes
    hash: bytes


@dataclass(slots=True)
class Chain:
    """Checks one event after the other; stop at the first fault."""

    id: int = 0
    hash: bytes = field(default=_GENESIS)

    def check(self, event: Event) -> Broken | None:
        """Take the next event, or tell what is wrong with it."""
        found = event.fields["id"]
        if found != self.id + 1:
            return Broken(self.id + 1, "missing") if found > self.id else Broken(found, "surplus")
        if event.prev_hash != self.hash:
            return Broken(found, "unlinked")
        if hashlib.sha256(self.hash + canonical(event.fields)).digest() != event.hash:
            return Broken(found, "altered")
        self.id, self.hash = found, event.hash
        return None

    def end(self, head_id: int, head_hash: bytes) -> Broken | None:
        """Compare the last event with the head that was stored apart."""
        if self.id != head_id:
            return Broken(self.id + 1, "missing") if self.id < head_id else Broken(self.id, "surplus")
        return None if self.hash == head_hash else Broken(self.id, "unlinked")


def record(
    conn: psycopg.Connection, *, by: str, action: str, target: str, detail: Mapping[str, JsonValue] | None = None
) -> None:
    """Append one event in the caller's transaction, which from here on holds the lock of the log until its end.

    So call it last: a transaction that waits for a row while it holds the log makes everybody wait. `detail` holds no
    fractions (they do not come back alike from every reader). Raises ValueError, which repeats no value.
    """
    at = datetime.now(UTC)
    fields = {"action": action, "actor": by, "at": _stamp(at), "detail": dict(detail or {}), "target": target}
    _must_be_sound(fields)
    before, after = _around_id(fields)
    conn.execute(_APPEND, (at, by, action, target, _dump(fields["detail"]), before, after))


def verify(conn: psycopg.Connection) -> Broken | None:
    """Read the whole chain, a batch at a time; return the first fault, None if it is intact."""
    chain = Chain()
    head: tuple[int, bytes] | None = None
    with conn.transaction(), conn.cursor(name="audit_verify") as cursor:
        for head_id, head_hash, event in _events(cursor):
            head = head_id, head_hash
            if event is not None and (fault := chain.check(event)):
                return fault
    return chain.end(*head) if head else Broken(1, "missing")


def export(conn: psycopg.Connection, out: TextIO) -> int:
    """Write the log as JSON lines, the head last; return how many events. `verify_file` checks the result."""
    count = 0
    head_id, head_hash = 0, _GENESIS
    with conn.transaction(), conn.cursor(name="audit_export") as cursor:
        for head_id, head_hash, event in _events(cursor):  # noqa: B007 - the last head is written after the loop
            if event is not None:
                count += 1
                out.write(_dump({**event.fields, "prev_hash": event.prev_hash.hex(), "hash": event.hash.hex()}) + "\n")
    out.write(_dump({"head": head_id, "hash": bytes(head_hash).hex()}) + "\n")
    return count


def verify_file(path: Path) -> Broken | None:
    """Check an exported log by itself; return the first fault, None if it is intact.

    A file may hold the logs of several zones one after another, each ended by its head.
    """
    chain, ended = Chain(), False
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            entry = _entry(line)
            if entry is None:
                return Broken(chain.id + 1, "unreadable")
            if isinstance(entry, Event):
                fault, ended = _checked(chain, entry), False
            else:
                fault, ended = chain.end(*entry), True
                chain = Chain()
            if fault:
                return fault
    return None if ended else Broken(chain.id + 1, "missing")


def _checked(chain: Chain, event: Event) -> Broken | None:
    try:
        return chain.check(event)
    except (ValueError, RecursionError):  # text that is not Unicode, or nested without end: nobody recorded it
        return Broken(chain.id + 1, "unreadable")


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Return the bytes that are hashed: JSON with sorted keys, no spaces, UTF-8."""
    return _dump(fields).encode()


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _around_id(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the canonical JSON before and after the value of `id`, which sorts between `detail` and `target`."""
    before = _dump({key: value for key, value in fields.items() if key < "id"})
    after = _dump({key: value for key, value in fields.items() if key > "id"})
    return f'{before[:-1]},"id":', f",{after[1:]}"


def _must_be_sound(fields: Mapping[str, Any]) -> None:
    if not _ACTION.fullmatch(fields["action"]):
        raise ValueError("an action is a word of [a-z0-9_.-]")
    for name in ("actor", "target"):
        value = fields[name]
        if not value or len(value) > _LONGEST_NAME or not value.isprintable():
            raise ValueError(f"{name} of an audit event: 1 to {_LONGEST_NAME} printable characters")
    if not _survives(fields["detail"]):
        raise ValueError("detail of an audit event: text, whole numbers, true, false, null, lists and tables of them")
    if len(_dump(fields["detail"])) > _LONGEST_DETAIL:
        raise ValueError(f"detail of an audit event: {_LONGEST_DETAIL} characters at most")


def _survives(value: object) -> bool:
    """Tell whether a value comes back from jsonb as it went in."""
    if isinstance(value, str):
        return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, list):
        return all(_survives(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _survives(key) and _survives(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int)


def _events(cursor: psycopg.ServerCursor[Any]) -> Iterator[tuple[int, bytes, Event | None]]:
    cursor.itersize = _BATCH
    for head_id, head_hash, *row in cursor.execute(_READ):
        yield head_id, head_hash, _event(row)


def _event(row: Iterable[Any]) -> Event | None:
    number, at, actor, action, target, detail, prev_hash, link = row
    if number is None:
        return None
    fields = {"action": action, "actor": actor, "at": _stamp(at), "detail": detail, "id": number, "target": target}
    return Event(fields, bytes(prev_hash), bytes(link))


def _entry(line: str) -> Event | tuple[int, bytes] | None:
    """Return an event, the head, or None for a line that is neither."""
    try:
        entry = json.loads(line)
        if set(entry) == {"head", "hash"}:
            return int(entry["head"]), bytes.fromhex(entry["hash"])
        hashes = bytes.fromhex(entry.pop("prev_hash")), bytes.fromhex(entry.pop("hash"))
        if type(entry["id"]) is not int:
            return None
        return Event(entry, *hashes)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
