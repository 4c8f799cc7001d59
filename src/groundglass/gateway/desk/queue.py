"""The first page: what is on its way, and how long the oldest has waited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter
from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from groundglass.gateway.desk.scope import Staff, centre_of
from groundglass.ui import access, pages
from groundglass.ui.translations import _

router = APIRouter(include_in_schema=False)

_WORDS: Final = {
    "arriving": _("En cours de réception"),
    "settled": _("En attente de traitement"),
    "packed": _("En attente d'envoi au registre"),
    "done": _("Traités"),
}
_EXPLAINED: Final = {
    "arriving": _("La série n'est pas encore complète : elle sera traitée dès qu'aucune image n'arrive plus."),
    "settled": _("L'anonymisation va commencer."),
    "packed": _("Les images anonymisées attendent le reçu du registre."),
    "done": _("Le reçu du registre est là, ou les images sont en quarantaine."),
}
_COUNT: Final = """
SELECT 'arriving', count(DISTINCT series_token), coalesce(sum(n), 0)::bigint, min(received_at), max(received_at)
FROM intake_part WHERE intake_id IS NULL AND (%(centre)s::text IS NULL OR centre = %(centre)s)
UNION ALL
SELECT i.state, count(DISTINCT i.id), coalesce(sum(p.n), 0)::bigint, min(i.settled_at), max(i.settled_at)
FROM intake i LEFT JOIN intake_part p ON p.intake_id = i.id
WHERE (%(centre)s::text IS NULL OR i.centre = %(centre)s) GROUP BY i.state
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Series at one step of their way. `oldest` is when the first of them came there, None without any."""

    name: str
    label: str
    explained: str
    series: int
    images: int
    oldest: datetime | None
    latest: datetime | None

    @property
    def waits(self) -> bool:
        """Whether something is still to be done for them."""
        return self.name != "done"


@router.api_route("/", methods=["GET", "HEAD"])
def queue(request: Request, account: Staff) -> Response:
    """Show the stages."""
    with access.pool(request).connection() as conn:
        found = stages(conn, centre=centre_of(account))
    return pages.render(request, "queue.html", stages=found, centre=centre_of(account))


def stages(conn: Connection[tuple[Any, ...]], *, centre: str | None) -> tuple[Stage, ...]:
    """Return the stages in the order of the way, those without series too."""
    rows = {row[0]: row[1:] for row in conn.execute(_COUNT, {"centre": centre})}
    return tuple(
        Stage(name, label, _EXPLAINED[name], *rows.get(name, (0, 0, None, None))) for name, label in _WORDS.items()
    )
