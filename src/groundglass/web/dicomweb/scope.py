"""Who sees which images: curators all, contributors their centre's, researchers what is granted (nothing yet)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import psycopg
from fastapi import Depends
from starlette.requests import Request

from groundglass.core.accounts import Account
from groundglass.errors import GroundglassError, NotAllowedError, NotFoundError, UsageError
from groundglass.registry import search
from groundglass.registry.search import OneOf, Scope, Series
from groundglass.ui import access
from groundglass.web.dicomweb import reads

_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_MOST_SERIES: Final = 10_000

Viewer = Annotated[Account, Depends(access.signed_in("curator", "contributor", "researcher"))]


def scope_of(account: Account) -> Scope:
    """Return what the account may see."""
    if account.role == "curator":
        return Scope(everything=True)
    return Scope(centre=account.centre if account.role == "contributor" else None)


def checked_uid(value: str) -> str:
    """Return a UID of a path or query. Raises UsageError for what is none."""
    if not _UID.fullmatch(value):
        raise UsageError("a UID is made of up to 64 digits and dots")
    return value


def readable(request: Request, account: Account, *uids: str) -> list[Series]:
    """Return the series of a study, or the one of it that is named, by number, after noting in the audit log that they
    are read. A third UID, of an instance, is checked for its form only.

    Raises UsageError, NotAllowedError for what is absent or not theirs, to curators NotFoundError.
    """
    checked = [checked_uid(uid) for uid in uids]
    conditions = [OneOf("study_instance_uid", (checked[0],))]
    conditions += [OneOf("series_instance_uid", (uid,)) for uid in checked[1:2]]
    return granted(request, account, conditions)


def granted(request: Request, account: Account, conditions: list[OneOf]) -> list[Series]:
    """Return the series that match, after noting in the audit log that they are read. Raises as `readable`."""
    with access.pool(request).connection() as conn:
        found = search.series(conn, scope_of(account), conditions, limit=_MOST_SERIES)
        if not found:
            _note_refusal(request, conn, account)
            raise absent(account)
        reads.of_series(request, conn, account, found)
    return found


def absent(account: Account) -> GroundglassError:
    """Return the error for what is not there; only those who see everything may know that."""
    if account.role == "curator":
        return NotFoundError("there is no such object in the registry")
    return NotAllowedError("there is no such object among those that you may see")


def _note_refusal(request: Request, conn: psycopg.Connection[Any], account: Account) -> None:
    if account.role != "curator":
        reads.refused(request, conn, account)
