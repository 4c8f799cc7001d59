"""What makes the pages of the national zone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import FastAPI

from groundglass.ui.furnish import furnish
from groundglass.ui.pages import Section, Site
from groundglass.ui.translations import _
from groundglass.web import health
from groundglass.web.pages import front, ledger, studies

_HERE: Final = Path(__file__).parent


def install(app: FastAPI) -> None:
    """Give `app` the pages, sign-in, health, error answers and headers. Needs `app.state.pool` once it runs."""
    furnish(app, site())
    for part in (front, studies, ledger, health):
        app.include_router(part.router)


def site() -> Site:
    """Return the pages of the national zone."""
    return Site(
        zone="registry",
        label=_("Registre national"),
        templates=_HERE / "templates",
        english=_HERE / "english.toml",
        sections=(
            Section("/etudes", _("Examens"), ("curator", "contributor")),
            Section("/registre", _("Bilan des réceptions"), ("curator", "contributor", "auditor", "admin")),
        ),
    )
