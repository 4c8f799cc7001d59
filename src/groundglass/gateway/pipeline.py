"""One settled series from spool to outbox: de-identified, verified, packed, and every instance accounted for."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from groundglass.config import Settings
from groundglass.core import audit, jobs
from groundglass.core.database import lent
from groundglass.core.failpoint import failpoint
from groundglass.core.jobs import Context
from groundglass.core.secretfiles import private_folder
from groundglass.deid import profile
from groundglass.deid.engine import Engine, Span
from groundglass.deid.identifiers import Keys
from groundglass.errors import GroundglassError, NoRoomError
from groundglass.gateway import items, quarantine, sweep, vault
from groundglass.gateway.items import Segments
from groundglass.gateway.judgement import Clean, Judgement, judge
from groundglass.series.manifest import Manifest
from groundglass.series.package import FileSpan, Member, pack


@dataclass(frozen=True, slots=True)
class Work:
    """An intake as its jobs need it."""

    id: int
    series_token: bytes
    collection: str
    centre: str
    state: str
    package_sha256: bytes | None
    age_seconds: float = field(compare=False)  # since it settled


def load(connection: psycopg.Connection, intake_id: int) -> Work:
    """Read an intake."""
    row = connection.execute(
        "SELECT id, series_token, collection, centre, state, package_sha256,"
        " extract(epoch FROM now() - settled_at)::float8 FROM intake WHERE id = %s",
        (intake_id,),
    ).fetchone()
    assert row, "a job names an intake that was committed with it"
    return Work(*row)


def process(context: Context, *, intake_id: int) -> None:
    """Job `gateway.process`: take a settled intake to the outbox. Doing it twice changes nothing."""
    settings = context.settings
    with lent(settings, "gateway") as connection, items.segments(settings.gateway_dir / "spool") as spool:
        work = load(connection, intake_id)
        if work.state != "settled":
            return
        judgement = judge_intake(connection, settings, work, spool)
        connection.commit()  # no transaction stays open during the long part
        failpoint("verify-done")
        with no_room_waits():
            quarantine.keep(settings.gateway_dir / "quarantine", judgement.held, spool)
            manifest = _pack(settings, judgement, spool) if judgement.clean else None
        with connection.transaction():
            if not jobs.effect(connection, "gateway.process", str(intake_id), "1"):
                return
            failpoint("effect-inserted")
            _decide(connection, work, judgement, manifest)
            failpoint("before-commit")
        failpoint("after-commit-before-ack")
        sweep.remove_segments(connection, settings)


@contextlib.contextmanager
def no_room_waits() -> Iterator[None]:
    """Raise NoRoomError on a full disk: a job waits for room as long as it takes, and is never held for that."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError("the gateway's disk is full") from None
        raise


def judge_intake(connection: psycopg.Connection, settings: Settings, work: Work, spool: Segments) -> Judgement:
    """Judge every instance of an intake: the same answer however often it is asked."""
    key = vault.collection_key(settings, collection=work.collection, centre=work.centre)
    keys = Keys.derive(key, collection=work.collection, centre=work.centre)
    engine = Engine(profile.load(settings.gateway.profile), keys)
    judgement = judge(items.of_intake(connection, work.id), spool, engine, _known(connection, work))
    failpoint("deid-done")
    return judgement


def package_path(settings: Settings, sha256: bytes) -> Path:
    """Return where a package waits to be sent."""
    return settings.gateway_dir / "outbox" / f"{sha256.hex()}.zip"


def _known(connection: psycopg.Connection, work: Work) -> dict[bytes, bytes]:
    known: dict[bytes, bytes] = {}
    rows = connection.execute(
        "SELECT k.digests FROM known_instances k JOIN intake i ON i.id = k.intake_id"
        " WHERE k.series_token = %s AND i.centre = %s AND i.collection = %s AND k.intake_id <> %s",
        (work.series_token, work.centre, work.collection, work.id),
    )
    for (digests,) in rows:
        for at in range(0, len(digests), 64):
            known[digests[at : at + 32]] = digests[at + 32 : at + 64]
    return known


def ensure_package(connection: psycopg.Connection, settings: Settings, work: Work, sha256: bytes) -> Path:
    """Return the package of an intake in the outbox, made again when it is not there: the spool still has all of it."""
    path = package_path(settings, sha256)
    if not path.exists():
        with items.segments(settings.gateway_dir / "spool") as spool:
            judgement = judge_intake(connection, settings, work, spool)
            connection.commit()
            with no_room_waits():
                manifest = _pack(settings, judgement, spool)
            if bytes.fromhex(manifest.sha256) != sha256:
                raise GroundglassError("the spool does not give the package that was packed from it: see doctor")
    return path


def _pack(settings: Settings, judgement: Judgement, spool: Segments) -> Manifest:
    """Write the package to the outbox under its hash. It is not synced: what a power cut takes is made again."""
    outbox = private_folder(settings.gateway_dir / "outbox")
    half = outbox / f".{os.getpid()}.part"
    try:
        with half.open("w+b", buffering=0) as out:
            manifest = pack((_member(one, spool) for one in judgement.clean), out)
        half.rename(package_path(settings, bytes.fromhex(manifest.sha256)))
    except BaseException:
        half.unlink(missing_ok=True)  # half a package would keep a full disk full
        raise
    failpoint("package-put")
    return manifest


def _member(one: Clean, spool: Segments) -> Member:
    fd, start = spool.fd(one.item.segment), one.item.offset
    parts = tuple(
        FileSpan(fd, start + part.offset, part.length) if isinstance(part, Span) else part for part in one.outcome.parts
    )
    return Member(one.outcome.sop_instance_uid, parts)


def _decide(connection: psycopg.Connection, work: Work, judgement: Judgement, manifest: Manifest | None) -> None:
    """Write what became of each instance, and what comes next, in the caller's transaction."""
    outcomes = Counter(
        [
            *((one.item.sender, "packed", "") for one in judgement.clean),
            *((item.sender, "duplicate", "") for item in judgement.duplicates),
            *((one.item.sender, "quarantined", one.code) for one in judgement.held),
        ]
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO outcome (intake_id, sender, kind, code, n) VALUES (%s, %s, %s, %s, %s)",
            [(work.id, *key, n) for key, n in outcomes.items()],
        )
    quarantine.record(connection, work.id, judgement.held)
    counts = {
        "clean": len(judgement.clean),
        "duplicates": len(judgement.duplicates),
        "quarantined": len(judgement.held),
    }
    audit.record(connection, by="gateway", action="intake.process", target=f"intake:{work.id}", detail=counts)
    if manifest is None:
        finish(connection, work.id)
        return
    digests = b"".join(
        hashlib.sha256(one.sop_instance_uid.encode()).digest() + bytes.fromhex(one.sha256) for one in manifest.instances
    )
    connection.execute("INSERT INTO known_instances VALUES (%s, %s, %s)", (work.id, work.series_token, digests))
    connection.execute(
        "UPDATE intake SET state = 'packed', package_sha256 = %s WHERE id = %s",
        (bytes.fromhex(manifest.sha256), work.id),
    )
    defer_send(connection, work.id)


def finish(connection: psycopg.Connection, intake_id: int) -> None:
    """Mark an intake as done: nothing of it needs the spool any more."""
    connection.execute("UPDATE intake SET state = 'done', done_at = now() WHERE id = %s", (intake_id,))
    connection.execute("UPDATE intake_part SET offsets = NULL, lengths = NULL WHERE intake_id = %s", (intake_id,))
    jobs.defer(connection, "gateway.report", queue="gateway", queueing_lock="report")


def defer_send(connection: psycopg.Connection, intake_id: int) -> None:
    """Ask for a packed intake to be sent."""
    jobs.defer(connection, "gateway.send", queue="gateway", queueing_lock=f"send:{intake_id}", intake_id=intake_id)
