"""The list of studies and the page of one: all of them for a curator, the own centre's for a contributor."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from groundglass.core import audit
from groundglass.core.accounts import Account
from groundglass.errors import NotFoundError
from groundglass.ui import access, pages
from groundglass.ui.translations import _
from groundglass.web.pages import study_rows
from groundglass.web.pages.study_rows import PAGE_ROWS, Wanted

router = APIRouter(include_in_schema=False)

_reader = access.signed_in("curator", "contributor")
Reader = Annotated[Account, Depends(_reader)]
_LONGEST_TEXT: Final = 64
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_SERIES: Final = """
SELECT series_instance_uid, modality, series_number, series_description, version, encode(package_sha256, 'hex'),
       instances, bytes, archived_at
FROM series WHERE study_id = %s ORDER BY series_number NULLS LAST, id
"""


@router.api_route("/etudes", methods=["GET", "HEAD"])
def listing(request: Request, account: Reader) -> Response:
    """List what the account may see and the address asks for."""
    own = access.own_centre(account)
    asked, faults = _asked(request, own)
    after = request.query_params.get("apres")
    with access.pool(request).connection() as conn:
        rows = study_rows.page(conn, asked, after=after)
        total = study_rows.count(conn, asked)
        centres = [] if own else study_rows.centres(conn)
        audit.record(conn, by=account.name, action="study.list", target="studies", detail={"rows": len(rows)})
    more = len(rows) > PAGE_ROWS
    rows = rows[:PAGE_ROWS]
    return pages.render(
        request,
        "studies.html",
        rows=rows,
        total=total,
        counted=study_rows.COUNTED,
        own=own,
        centres=centres,
        asked=asked,
        faults=faults,
        filtered=asked != Wanted(centre=own),
        first=after is None,
        start=_address(request),
        next=_address(request, apres=study_rows.place_after(rows[-1])) if more else None,
    )


@router.api_route("/etudes/{study_instance_uid}", methods=["GET", "HEAD"])
def one(request: Request, account: Reader, study_instance_uid: str) -> Response:
    """Show one study with its series. Raises NotFoundError for what is absent and for what another centre sent."""
    own = access.own_centre(account)
    with access.pool(request).connection() as conn:
        study = study_rows.find(conn, study_instance_uid, centre=own) if _UID.fullmatch(study_instance_uid) else None
        if study is None:
            raise NotFoundError(_("Aucun examen de ce numéro n'est au registre pour votre compte."))
        series = conn.execute(_SERIES, (study.id,)).fetchall()
        audit.record(conn, by=account.name, action="study.view", target=f"study {study.study_instance_uid}")
    return pages.render(request, "study.html", study=study, series=series, role=account.role)


def _asked(request: Request, own: str | None) -> tuple[Wanted, list[str]]:
    """Read the filters; a date that is none filters nothing and is told."""
    query = request.query_params
    faults: list[str] = []
    days: dict[str, date | None] = {}
    for name in ("du", "au"):
        try:
            days[name] = date.fromisoformat(query[name]) if query.get(name) else None
        except ValueError:
            days[name] = None
            faults.append(name)
    text = "".join(c for c in query.get("texte", "").strip()[:_LONGEST_TEXT] if c.isprintable())
    centre = own or query.get("centre", "")[:_LONGEST_TEXT].replace("\0", "") or None
    return Wanted(centre, days["du"], days["au"], text or None), faults


def _address(request: Request, **more: str) -> str:
    """Return the address of this list with the same filters, at the start or at another place."""
    kept = {
        name: request.query_params[name] for name in ("du", "au", "centre", "texte") if request.query_params.get(name)
    }
    return f"/etudes?{urlencode(kept | more)}"
