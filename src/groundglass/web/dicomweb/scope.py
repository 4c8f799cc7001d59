"""Who sees which images: curators all, contributors their centre's, researchers what is granted (nothing yet)."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any, Final

import psycopg
from fastapi import Depends
from starlette.requests import Request

from groundglass.core import audit
from groundglass.core.accounts import Account
from groundglass.errors import NotAllowedError, NotFoundError, UsageError
from groundglass.registry import search
from groundglass.registry.search import OneOf, Scope, Series
from groundglass.ui import access

_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_AUDIT_WINDOW_SECONDS: Final = 900
_REMEMBERED: Final = 10_000

Viewer = Annotated[Account, Depends(access.signed_in("curator", "contributor", "researcher"))]


def scope_of(account: Account) -> Scope:
    """Return what the account may see."""
    if account.role == "curator":
        return Scope(everything=True)
    return Scope(centre=account.centre if account.role == "contributor" else None)


def checked_uid(value: str) -> str:
    """Return a UID of a path. Raises UsageError for what is none."""
    if not _UID.fullmatch(value):
        raise UsageError("a UID is made of up to 64 digits and dots")
    return value


def found_series(
    conn: psycopg.Connection[Any], account: Account, study_uid: str, series_uid: str | None = None
) -> list[Series]:
    """Return the series of a study, or the one named, by number.

    Raises NotAllowedError for what is absent or not theirs, to curators NotFoundError.
    """
    conditions = [OneOf("study_instance_uid", (checked_uid(study_uid),))]
    if series_uid is not None:
        conditions.append(OneOf("series_instance_uid", (checked_uid(series_uid),)))
    found = search.series(conn, scope_of(account), conditions, limit=10_000)
    if not found:
        raise absent(account)
    return found


def absent(account: Account) -> Exception:
    """Return the error for what is not there; only those who see everything may know that."""
    if account.role == "curator":
        return NotFoundError("there is no such object in the registry")
    return NotAllowedError("there is no such object among those that you may see")


def record_read(request: Request, conn: psycopg.Connection[Any], account: Account, series: list[Series]) -> None:
    """Write into the audit log that the account reads these series, once in fifteen minutes for each."""
    seen: dict[tuple[int, str, int], None] = request.app.state.__dict__.setdefault("reads", {})
    window = int(time.time()) // _AUDIT_WINDOW_SECONDS
    for one in series:
        key = (account.id, one.series_instance_uid, window)
        if key not in seen:
            audit.record(conn, by=account.name, action="series.read", target=f"series {one.series_instance_uid}")
            seen[key] = None
    while len(seen) > _REMEMBERED:
        seen.pop(next(iter(seen)))
