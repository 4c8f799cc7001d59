"""What is held back, and why. Technical facts only: an original is never shown here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from groundglass.errors import NotFoundError
from groundglass.gateway.desk.scope import Staff, centre_of
from groundglass.ui import access, pages
from groundglass.ui.reasons import GRADES
from groundglass.ui.translations import _

router = APIRouter(include_in_schema=False)

PAGE_ROWS: Final = 50
STATES: Final = {"held": _("en quarantaine"), "released": _("libérée"), "discarded": _("écartée définitivement")}
_LARGEST: Final = 2**63 - 1

_PAGE: Final = """
SELECT id, intake_id, sender, centre, code, grade, n_bytes, quarantined_at, state FROM quarantine
WHERE state = 'held' AND (%(centre)s::text IS NULL OR centre = %(centre)s)
    AND (%(code)s::text IS NULL OR code = %(code)s) AND id < %(before)s
ORDER BY id DESC LIMIT %(limit)s
"""
_CODES: Final = """
SELECT code, count(*) FROM quarantine WHERE state = 'held' AND (%(centre)s::text IS NULL OR centre = %(centre)s)
GROUP BY code ORDER BY count(*) DESC, code
"""
_ONE: Final = """
SELECT id, intake_id, sender, centre, code, grade, n_bytes, quarantined_at, state FROM quarantine
WHERE id = %(id)s AND (%(centre)s::text IS NULL OR centre = %(centre)s)
"""


@dataclass(frozen=True, slots=True)
class Held:
    """One image in quarantine; `id` is its number, also that of its folder."""

    id: int
    intake_id: int
    sender: str
    centre: str
    code: str
    grade: str
    n_bytes: int
    at: datetime
    state: str

    @property
    def grade_label(self) -> str:
        """The grade in French."""
        return GRADES.get(self.grade, self.grade)


@router.api_route("/quarantaine", methods=["GET", "HEAD"])
def listing(
    request: Request,
    account: Staff,
    code: Annotated[str | None, Query(max_length=64, pattern="^[a-z0-9_-]*$")] = None,
    avant: Annotated[int, Query(ge=1, le=_LARGEST)] = _LARGEST,
) -> Response:
    """List the newest first; `code` keeps one reason, `avant` goes on below a number."""
    centre = centre_of(account)
    with access.pool(request).connection() as conn:
        codes = conn.execute(_CODES, {"centre": centre}).fetchall()
        rows = page(conn, centre=centre, code=code or None, before=avant)
    return pages.render(
        request,
        "quarantine.html",
        rows=rows[:PAGE_ROWS],
        more=len(rows) > PAGE_ROWS,
        first=avant == _LARGEST,
        codes=codes,
        total=sum(row[1] for row in codes),
        code=code or None,
        centre=centre,
    )


@router.api_route("/quarantaine/{number}", methods=["GET", "HEAD"])
def detail(request: Request, account: Staff, number: Annotated[int, Path(ge=1, le=_LARGEST)]) -> Response:
    """Show one. Raises NotFoundError for what is absent and for what another centre sent."""
    with access.pool(request).connection() as conn:
        row = conn.execute(_ONE, {"id": number, "centre": centre_of(account)}).fetchone()
    if row is None:
        raise NotFoundError(_("Aucune image en quarantaine ne porte ce numéro."))
    return pages.render(request, "held.html", held=Held(*row), states=STATES)


def page(conn: Connection[tuple[Any, ...]], *, centre: str | None, code: str | None, before: int) -> list[Held]:
    """Return one row more than a page, so that the reader learns whether there are others."""
    values = {"centre": centre, "code": code, "before": before, "limit": PAGE_ROWS + 1}
    return [Held(*row) for row in conn.execute(_PAGE, values)]
