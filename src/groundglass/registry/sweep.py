"""What a lost job or a killed process leaves: packages without a job, files without a row, objects of old versions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from groundglass.config import Settings
from groundglass.core.database import connect
from groundglass.core.jobs import Context
from groundglass.core.objects import open_objects
from groundglass.registry import inbox, layout
from groundglass.registry.archive import series_lock

_STALE_SECONDS = 3600.0


def requeue(context: Context) -> None:
    """Give every package that waits a job, and remove files that nobody waits for."""
    settings = context.settings
    with connect(settings, "registry") as conn:
        for (sha256,) in conn.execute(
            "SELECT sha256 FROM inbox WHERE state = 'received' AND received_at < now() - make_interval(secs => %s)",
            (settings.jobs.stalled_seconds,),
        ).fetchall():
            inbox.defer_archive(conn, bytes(sha256).hex())
        conn.commit()
        for path in _leftovers(conn, settings):
            path.unlink(missing_ok=True)


def tidy(context: Context, *, series_id: int) -> None:
    """Job `registry.tidy`: remove the objects of a series that are not of its current version.

    The current version contains whatever an older one had (docs/decisions/0030-series-package.md).
    """
    settings = context.settings
    with connect(settings, "registry", autocommit=True) as conn:
        row = conn.execute("SELECT series_instance_uid FROM series WHERE id = %s", (series_id,)).fetchone()
        if row is None:
            return
        objects = open_objects(settings)
        with series_lock(conn, row[0]):
            collection, kept = _kept(conn, series_id)
            for key in list(objects.list(layout.folder(collection, row[0]))):
                if key.rsplit("/", 1)[-1].split(".", 1)[0] not in kept:
                    objects.delete(key)


def _kept(conn: psycopg.Connection, series_id: int) -> tuple[str, set[str]]:
    """Return the collection of a series and the hashes of the versions whose bytes stay.

    Releases will add the versions that they name.
    """
    row = conn.execute(
        "SELECT collection, package_sha256 FROM series JOIN study ON study.id = study_id WHERE series.id = %s",
        (series_id,),
    ).fetchone()
    assert row is not None
    return row[0], {bytes(row[1]).hex()}


def _leftovers(conn: psycopg.Connection, settings: Settings) -> Iterator[Path]:
    """Yield what is older than an hour and either half written or not waited for."""
    for path in inbox.incoming(settings, "").iterdir():
        if _stale(path):
            yield path
    for path in inbox.folder(settings).glob("*.zip"):
        found = inbox.status(conn, path.stem)
        if (found is None or found.state != "received") and _stale(path):
            yield path
    conn.commit()


def _stale(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime < time.time() - _STALE_SECONDS
    return False
