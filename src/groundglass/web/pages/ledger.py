"""The account of what hospitals received and what the registry holds, gateway by gateway."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from groundglass.core.accounts import Account
from groundglass.ui import access, pages
from groundglass.ui.ledger import View, view

router = APIRouter(include_in_schema=False)

_reader = access.signed_in("curator", "contributor", "auditor", "admin")
_REPORTS: Final = """
SELECT account, centre, reported_at, ledger FROM gateway_ledger
WHERE %(centre)s::text IS NULL OR centre = %(centre)s ORDER BY centre, account
"""
_HELD: Final = """
SELECT centre, count(*), coalesce(sum(series_count), 0)::bigint, coalesce(sum(instance_count), 0)::bigint,
       coalesce(sum(bytes), 0)::bigint
FROM study WHERE %(centre)s::text IS NULL OR centre = %(centre)s GROUP BY centre ORDER BY centre
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What one gateway told last, and when."""

    account: str
    centre: str | None
    at: datetime
    view: View


@dataclass(frozen=True, slots=True)
class Holding:
    """What the registry itself holds of a centre."""

    centre: str
    studies: int
    series: int
    images: int
    bytes: int


@router.api_route("/registre", methods=["GET", "HEAD"])
def page(request: Request, account: Annotated[Account, Depends(_reader)]) -> Response:
    """Show the reports of the gateways and the registry's own count: all of them, or the own centre's."""
    centre = access.own_centre(account)
    with access.pool(request).connection() as conn:
        told, held = reports(conn, centre=centre), holdings(conn, centre=centre)
    return pages.render(request, "registry_ledger.html", reports=told, holdings=held, centre=centre)


def reports(conn: Connection[tuple[Any, ...]], *, centre: str | None = None) -> list[Report]:
    """Return the last report of each gateway."""
    rows = conn.execute(_REPORTS, {"centre": centre})
    return [Report(account, of, at, view(ledger)) for account, of, at, ledger in rows]


def holdings(conn: Connection[tuple[Any, ...]], *, centre: str | None = None) -> list[Holding]:
    """Return what is archived, by centre."""
    return [Holding(*row) for row in conn.execute(_HELD, {"centre": centre})]
