"""From outbox to registry: send, wait for the signed receipt, then forget."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from groundglass.client.inbox import Inbox, InboxRefusedError
from groundglass.client.receipts import ForgedReceiptError, Verdict, check_receipt
from groundglass.config import Settings
from groundglass.core import audit, jobs, logs
from groundglass.core.database import lent
from groundglass.core.failpoint import failpoint
from groundglass.core.jobs import Context, Later
from groundglass.deid import profile
from groundglass.deid.reasons import REASONS
from groundglass.errors import GroundglassError, NoRoomError, UnavailableError, UsageError
from groundglass.gateway import items, ledger, quarantine, sweep
from groundglass.gateway.judgement import Held
from groundglass.gateway.pipeline import (
    Work,
    defer_send,
    ensure_package,
    finish,
    judge_intake,
    load,
    no_room_waits,
    package_path,
)

_RETRY_SECONDS = 5.0
_WAIT_SECONDS = 5
_SOON_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0  # who waits longer asks seldom and at once: a stuck package holds no worker
_NOT_FOUND = 404
# What a registry says of a package itself. All else is of the way, the token or the hour: to wait is right.
_OF_THE_PACKAGE = frozenset({400, 409, 413, 422})
_log = logs.logger("gateway.ferry")


def inbox(settings: Settings) -> Inbox:
    """Return the registry that this gateway is enrolled with. Raises UsageError."""
    url, token_file = settings.gateway.registry_url, settings.gateway.registry_token_file
    if not url or not token_file:
        raise UsageError("the gateway is not enrolled: set gateway.registry_url and gateway.registry_token_file")
    try:
        return Inbox(url, token_file.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        raise UsageError("gateway.registry_token_file cannot be read") from None


def send(context: Context, *, intake_id: int) -> None:
    """Job `gateway.send`: put a packed intake under its hash; a repeat finds it there."""
    settings = context.settings
    with lent(settings, "gateway") as connection:
        work = load(connection, intake_id)
        connection.commit()
        if work.state != "packed" or work.package_sha256 is None:
            return
        with _patient():
            _put(connection, settings, work, work.package_sha256)
        failpoint("push-sent")
        jobs.defer(
            connection, "gateway.receipt", queue="receipts", queueing_lock=f"receipt:{intake_id}", intake_id=intake_id
        )
        connection.commit()


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Raise Later for whatever a registry, or a proxy before it, says when it cannot at the moment: no fault of ours.

    What is refused for the package's own sake is raised as it is.
    """
    try:
        yield
    except (UnavailableError, NoRoomError):
        raise Later(_RETRY_SECONDS) from None
    except UsageError:  # not enrolled, or not whole: until somebody has done it
        _log.event("not-enrolled")
        raise Later(_RETRY_SECONDS) from None
    except InboxRefusedError as refused:
        if refused.status in _OF_THE_PACKAGE:
            raise
        _log.event("registry-refuses", status=refused.status)
        raise Later(_RETRY_SECONDS) from None


def _put(connection: psycopg.Connection, settings: Settings, work: Work, sha256: bytes) -> None:
    registry = inbox(settings)
    if registry.has(sha256.hex()):
        return
    path = ensure_package(connection, settings, work, sha256)
    described = profile.load(settings.gateway.profile)
    try:
        registry.put(
            sha256.hex(),
            path,
            collection=work.collection,
            centre=work.centre,
            profile=f"{described.id}/{described.version};sha256={described.sha256}",
        )
    except InboxRefusedError as refused:
        if refused.status in _OF_THE_PACKAGE:  # it may not be the bytes of that hash any more: pack again
            path.unlink(missing_ok=True)
        raise


def receive(context: Context, *, intake_id: int) -> None:
    """Job `gateway.receipt`: wait for the registry's decision, store it, and forget what it makes needless."""
    settings = context.settings
    with lent(settings, "gateway") as connection:
        work = load(connection, intake_id)
        connection.commit()
        if work.package_sha256 is None:
            return
        if work.state == "packed":
            _decided(connection, settings, work, work.package_sha256)
            failpoint("receipt-stored")
        package_path(settings, work.package_sha256).unlink(missing_ok=True)
        failpoint("gateway-delete")
        sweep.remove_segments(connection, settings)


def report(context: Context) -> None:
    """Job `gateway.report`: tell the registry what this gateway counts."""
    with _patient():
        inbox(context.settings).put_ledger(ledger.ledger(context.settings))


def _decided(connection: psycopg.Connection, settings: Settings, work: Work, sha256: bytes) -> None:
    """Fetch the signed receipt and store it. Raises Later while there is none that can be believed."""
    with _patient():
        try:
            fresh = work.age_seconds < _PATIENCE_SECONDS
            signed = inbox(settings).receipt(sha256.hex(), wait_seconds=_WAIT_SECONDS if fresh else 0)
            if signed is None:
                raise Later(_SOON_SECONDS if fresh else min(work.age_seconds / 10, _PATIENCE_SECONDS))
            verdict = check_receipt(signed, settings.gateway.registry_key_file, package_sha256=sha256.hex())
        except (ForgedReceiptError, ValueError):  # another's answer, or none that the registry gives
            _log.event("receipt-not-believed", intake=work.id)
            raise Later(_RETRY_SECONDS) from None
        except InboxRefusedError as refused:
            if refused.status == _NOT_FOUND:  # lost, or never there: the package is still here
                _send_again(connection, work)
            raise
    _store(connection, settings, work, signed, verdict)


def _send_again(connection: psycopg.Connection, work: Work) -> None:
    """Ask for the package to be sent once more and raise Later."""
    with connection.transaction():
        defer_send(connection, work.id)
    raise Later(_RETRY_SECONDS)


def _store(
    connection: psycopg.Connection, settings: Settings, work: Work, signed: dict[str, Any], verdict: Verdict
) -> None:
    refused: tuple[Held, ...] = ()
    if verdict.refused:
        refused = _hold_back(connection, settings, work, verdict)
    with connection.transaction():
        if not jobs.effect(connection, "gateway.receipt", str(work.id), "1"):
            return
        if refused:
            _refuse(connection, work, refused)
        else:
            connection.execute(
                "UPDATE outcome SET kind = 'archived' WHERE intake_id = %s AND kind = 'packed'", (work.id,)
            )
        connection.execute("UPDATE intake SET receipt = %s WHERE id = %s", (Jsonb(signed), work.id))
        finish(connection, work.id)
        audit.record(
            connection,
            by="registry",
            action="intake.refused" if refused else "intake.receipt",
            target=f"intake:{work.id}",
            detail={"receipt": verdict.number},
        )


def _hold_back(connection: psycopg.Connection, settings: Settings, work: Work, verdict: Verdict) -> tuple[Held, ...]:
    """Keep the originals of a refused package: judged again, the same instances are the clean ones."""
    with items.segments(settings.gateway_dir / "spool") as spool:
        judgement = judge_intake(connection, settings, work, spool)
        connection.commit()
        code = verdict.code if verdict.code in REASONS else "refused_by_registry"  # a newer registry has newer words
        refused = tuple(Held(one.item, code, "refuse") for one in judgement.clean)
        if len(refused) != _packed(connection, work):
            raise GroundglassError("the spool does not give the instances that were packed from it: see doctor")
        with no_room_waits():
            quarantine.keep(settings.gateway_dir / "quarantine", refused, spool)
    return refused


def _packed(connection: psycopg.Connection, work: Work) -> int:
    row = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM outcome WHERE intake_id = %s AND kind = 'packed'", (work.id,)
    ).fetchone()
    connection.commit()
    assert row
    return int(row[0])


def _refuse(connection: psycopg.Connection, work: Work, refused: tuple[Held, ...]) -> None:
    connection.execute("DELETE FROM known_instances WHERE intake_id = %s", (work.id,))
    connection.execute("DELETE FROM outcome WHERE intake_id = %s AND kind = 'packed'", (work.id,))
    counts = Counter((one.item.sender, one.code) for one in refused)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO outcome (intake_id, sender, kind, code, n) VALUES (%s, %s, 'quarantined', %s, %s)"
            " ON CONFLICT (intake_id, sender, kind, code) DO UPDATE SET n = outcome.n + EXCLUDED.n",
            [(work.id, sender, code, n) for (sender, code), n in counts.items()],
        )
    quarantine.record(connection, work.id, refused)
