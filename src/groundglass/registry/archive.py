"""The job that decides a received package: archived as the next version of its series, or refused with reasons."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import psycopg

from groundglass.config import Settings
from groundglass.core import jobs, logs
from groundglass.core.database import lent
from groundglass.core.failpoint import failpoint
from groundglass.core.jobs import Context
from groundglass.core.objects import open_objects
from groundglass.registry import decisions, inbox, index, versions
from groundglass.registry.decisions import Decision
from groundglass.registry.inbox import Offer
from groundglass.registry.index import Current
from groundglass.registry.inspection import Inspected, RefusedPackageError, inspect
from groundglass.registry.versions import Version
from groundglass.series.invalid import REASONS, InvalidPackageError

TIDY = "registry.tidy"
_LOCK_SPACE = 7237002
_log = logs.logger("registry.archive")
logs.allow(*REASONS)


def archive(context: Context, *, sha256: str) -> None:
    """Decide the package of this hash. Whatever happens in between, a repeat ends in the same rows and bytes.

    A package whose bytes are lost or changed since it was received is forgotten, so that its sender sends it again.
    """
    settings = context.settings
    path = inbox.path_of(settings, sha256)
    with lent(settings, "registry", autocommit=True) as conn:
        offer = _undecided(conn, sha256)
        if offer is not None:
            try:
                inspected = _inspected(settings, offer, path)
                if inspected is None:
                    inbox.forget(conn, settings, sha256)
                    return
                _archive(conn, settings, offer, inspected)
            except RefusedPackageError as refused:
                _refuse(conn, settings, offer, refused.reasons)
    path.unlink(missing_ok=True)


def _undecided(conn: psycopg.Connection, sha256: str) -> Offer | None:
    row = conn.execute(
        "SELECT bytes, account, centre, collection, profile FROM inbox WHERE sha256 = %s AND state = 'received'",
        (bytes.fromhex(sha256),),
    ).fetchone()
    return None if row is None else Offer(sha256, *row)


def _inspected(settings: Settings, offer: Offer, path: Path) -> Inspected | None:
    """Inspect the package; None when its bytes are not those that were received. Raises RefusedPackageError."""
    try:
        with path.open("rb") as file:
            inspected = inspect(file.fileno(), accepted=settings.registry.accepted_sop_classes)
    except FileNotFoundError:
        return None
    except InvalidPackageError as error:
        if _digest(path) != offer.sha256:
            return None
        _log.event("package-invalid", reason=error.reason)
        raise RefusedPackageError("invalid_package") from None
    failpoint("inspected")
    return inspected if inspected.manifest.sha256 == offer.sha256 else None


def _archive(conn: psycopg.Connection, settings: Settings, offer: Offer, inspected: Inspected) -> None:
    """Make the package, or what is new in it, the next version of its series. Raises RefusedPackageError."""
    objects = open_objects(settings)
    part = Version(inbox.path_of(settings, offer.sha256), inspected.manifest)
    with series_lock(conn, inspected.manifest.series_instance_uid):
        before = index.current(conn, inspected.manifest.series_instance_uid)
        if before is None:
            versions.put(objects, part, collection=offer.collection)
            try:
                _commit(conn, settings, offer, inspected, before=None, version=part)
            except RefusedPackageError:  # its study is another centre's or patient's
                versions.drop(objects, part, collection=offer.collection)
                raise
            return
        index.must_fit(before, offer, inspected)
        with versions.following(settings, objects, before, part) as version:
            if version is not None:
                versions.put(objects, version, collection=offer.collection)
            _commit(conn, settings, offer, inspected, before=before, version=version)


@contextlib.contextmanager
def series_lock(conn: psycopg.Connection, series_instance_uid: str) -> Iterator[None]:
    """Be the only worker on a series, without a transaction; it ends with the connection at the latest."""
    key = (series_instance_uid, _LOCK_SPACE)
    conn.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", key)
    try:
        yield
    finally:
        if not conn.broken:
            conn.execute("SELECT pg_advisory_unlock(hashtextextended(%s, %s))", key)


def _commit(
    conn: psycopg.Connection,
    settings: Settings,
    offer: Offer,
    inspected: Inspected,
    *,
    before: Current | None,
    version: Version | None,
) -> None:
    """Write effect, rows, audit event, receipt and what follows, in one transaction; `version` None: nothing is new."""
    with conn.transaction():
        if not jobs.effect(conn, inbox.ARCHIVE, offer.sha256, "1", outcome="archived"):
            return
        failpoint("effect-inserted")
        if version is None:
            assert before is not None
            number, instances, size = before.version, before.instances, before.bytes
        else:
            manifest, number = version.manifest, 1 if before is None else before.version + 1
            instances, size = len(manifest.instances), manifest.size
            series_id = index.write(conn, offer=offer, labels=inspected.labels, manifest=manifest, before=before)
            if before is not None:
                jobs.defer(conn, TIDY, queue="registry", queueing_lock=f"tidy:{series_id}", series_id=series_id)
        failpoint("index-written")
        decisions.record(conn, settings, offer, Decision("archived", version=number, instances=instances, bytes=size))
        failpoint("before-commit")
    failpoint("after-commit-before-ack")
    _log.event("package-archived", version=number, instances=instances, bytes=size)


def _refuse(conn: psycopg.Connection, settings: Settings, offer: Offer, reasons: tuple[str, ...]) -> None:
    """Write the refusal; the bytes go after the commit."""
    with conn.transaction():
        if not jobs.effect(conn, inbox.ARCHIVE, offer.sha256, "1", outcome="refused"):
            return
        failpoint("effect-inserted")
        decisions.record(conn, settings, offer, Decision("refused", reasons))
        failpoint("before-commit")
    failpoint("after-commit-before-ack")
    _log.event("package-refused", reasons=len(reasons))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
