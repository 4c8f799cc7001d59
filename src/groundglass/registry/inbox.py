"""The inbox: a package is durably here, or it was not received. Its key is its hash, so a repeat changes nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg

from groundglass.config import Settings
from groundglass.core import audit, jobs
from groundglass.core.failpoint import failpoint
from groundglass.core.secretfiles import private_folder, sync_folder
from groundglass.errors import ConflictError, NoRoomError, TooLargeError, UnavailableError, UnprocessableError
from groundglass.registry import collections

MAX_PACKAGE_BYTES = 8 * 2**30
MAX_OPEN_BYTES = 200 * 10**9  # of one centre, received and not decided
ARCHIVE = "registry.archive"

State = Literal["received", "archived", "refused"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A package and who sends it. `sha256` in lower-case hex; `profile` as the sender declares it."""

    sha256: str
    bytes: int
    account: str
    centre: str
    collection: str
    profile: str


@dataclass(frozen=True, slots=True)
class Status:
    """Where a package stands; `answer` is its signed receipt, once it is decided."""

    state: State
    account: str
    centre: str
    answer: Mapping[str, Any] | None


def folder(settings: Settings) -> Path:
    """Return the inbox's folder, made if missing. Write what arrives to `incoming`, then `receive` it."""
    return private_folder(settings.registry_dir / "inbox")


def incoming(settings: Settings, name: str) -> Path:
    """Return the path of a temporary file on the inbox's file system; the sweeper removes what is left there."""
    return private_folder(folder(settings) / "incoming") / name


def path_of(settings: Settings, sha256: str) -> Path:
    """Return where the bytes of an undecided package lie."""
    return settings.registry_dir / "inbox" / f"{sha256}.zip"


def status(conn: psycopg.Connection, sha256: str) -> Status | None:
    """Return where a package stands, None when it was never received."""
    row = conn.execute(
        "SELECT state, account, centre, receipt, signature FROM inbox WHERE sha256 = %s", (bytes.fromhex(sha256),)
    ).fetchone()
    if row is None:
        return None
    state, account, centre, receipt, signature = row
    return Status(state, account, centre, None if receipt is None else {"receipt": receipt, "signature": signature})


def admit(conn: psycopg.Connection, offer: Offer) -> None:
    """Check what can be known before the first byte arrives.

    Raises TooLargeError, UnprocessableError for a collection that is not known here, ConflictError when the same
    package came from another centre or to another collection, NoRoomError while too much of the centre waits.
    """
    if offer.bytes > MAX_PACKAGE_BYTES:
        raise TooLargeError(f"a package has at most {MAX_PACKAGE_BYTES} bytes: send the series in parts")
    if not collections.known(conn, offer.collection):
        raise UnprocessableError("this registry has no collection of that code")
    row = conn.execute(
        "SELECT centre, collection FROM inbox WHERE sha256 = %s", (bytes.fromhex(offer.sha256),)
    ).fetchone()
    if row not in (None, (offer.centre, offer.collection)):
        raise ConflictError("this package was sent by another centre, or to another collection")
    (waiting,) = conn.execute(
        "SELECT coalesce(sum(bytes), 0) FROM inbox WHERE state = 'received' AND centre = %s", (offer.centre,)
    ).fetchone() or (0,)
    if waiting + offer.bytes > MAX_OPEN_BYTES and row is None:
        raise NoRoomError("too many packages of this centre wait to be checked: try again later")


def receive(conn: psycopg.Connection, settings: Settings, offer: Offer, path: Path) -> None:
    """Take a finished file whose hash and size are those of the offer; once this returns it is received.

    The file moves away. In one transaction: the inbox row, the audit event, the job. A package that is here already,
    decided or not, stays as it is. Raises as `admit`, and NoRoomError when the disk is full.
    """
    with conn.transaction():
        admit(conn, offer)
        found = status(conn, offer.sha256)
    if found is not None and found.state != "received":
        path.unlink(missing_ok=True)
        return
    _put(settings, offer, path)
    failpoint("inbox-put")
    with conn.transaction():
        _insert(conn, offer)
        failpoint("inbox-before-commit")


def forget(conn: psycopg.Connection, settings: Settings, sha256: str) -> None:
    """Drop an undecided package whose bytes are lost or changed, so that its sender, who keeps it, sends it again."""
    path_of(settings, sha256).unlink(missing_ok=True)
    with conn.transaction():
        row = conn.execute(
            "DELETE FROM inbox WHERE sha256 = %s AND state = 'received' RETURNING centre", (bytes.fromhex(sha256),)
        ).fetchone()
        if row is not None:
            audit.record(conn, by="registry", action="package.damaged", target=f"package:{sha256}")


def defer_archive(conn: psycopg.Connection, sha256: str) -> None:
    """Ask for a package to be decided, in the caller's transaction; one that waits already is left alone."""
    jobs.defer(conn, ARCHIVE, queue="registry", queueing_lock=f"archive:{sha256}", sha256=sha256)


def _put(settings: Settings, offer: Offer, path: Path) -> None:
    """Move the file under its hash, durably: bytes, name and folder."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != offer.bytes:
                raise UnprocessableError("the package is not as long as was said")
            os.fsync(file.fileno())
        path.rename(folder(settings) / f"{offer.sha256}.zip")
        sync_folder(folder(settings))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError("the registry's disk is full") from None
        raise UnavailableError("the inbox cannot take the package") from None


def _insert(conn: psycopg.Connection, offer: Offer) -> None:
    """Write the row of a package once; whoever sends it again at the same moment finds it."""
    row = conn.execute(
        "INSERT INTO inbox (sha256, account, centre, collection, profile, bytes) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING 1",
        (bytes.fromhex(offer.sha256), offer.account, offer.centre, offer.collection, offer.profile, offer.bytes),
    ).fetchone()
    defer_archive(conn, offer.sha256)
    if row is not None:
        detail: dict[str, audit.JsonValue] = {
            "centre": offer.centre,
            "collection": offer.collection,
            "profile": offer.profile,
            "bytes": offer.bytes,
        }
        audit.record(conn, by=offer.account, action="package.receive", target=f"package:{offer.sha256}", detail=detail)
