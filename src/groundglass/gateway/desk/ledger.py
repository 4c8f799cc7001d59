"""The account of every image that this gateway acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from groundglass.gateway import ledger as accounts
from groundglass.gateway.desk.scope import Staff, centre_of
from groundglass.ui import access, pages
from groundglass.ui.ledger import View, counts, view

router = APIRouter(include_in_schema=False)

_NAMES: Final = ("received", "archived", "quarantined", "duplicates", "pending", "withdrawn")
_SENDERS: Final = "SELECT DISTINCT sender FROM intake_part WHERE centre = %s"


@router.api_route("/registre", methods=["GET", "HEAD"])
def page(request: Request, account: Staff) -> Response:
    """Show it as of now."""
    now = datetime.now(UTC)
    shown = view(accounts.ledger(request.app.state.settings))
    if centre := centre_of(account):
        with access.pool(request).connection() as conn:
            shown = only(shown, {sender for (sender,) in conn.execute(_SENDERS, (centre,))})
    return pages.render(request, "desk_ledger.html", view=shown, now=now, centre=centre)


def only(shown: View, names: set[str]) -> View:
    """Return the part of some senders, with its own total."""
    senders = tuple(sender for sender in shown.senders if sender.name in names)
    total: dict[str, Any] = {name: sum(getattr(s.counts, name) for s in senders) for name in _NAMES}
    total["reasons"] = {}
    for sender in senders:
        for code, n in sender.counts.reasons:
            total["reasons"][code] = total["reasons"].get(code, 0) + n
    return View(counts(total), senders)
