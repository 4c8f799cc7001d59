"""The application behind `--gateway-port`."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from groundglass.config import Settings
from groundglass.core import database
from groundglass.core.accounts import Role
from groundglass.gateway.desk import health, ledger, quarantine, queue
from groundglass.ui.furnish import furnish
from groundglass.ui.pages import Section, Site
from groundglass.ui.translations import _

_HERE: Final = Path(__file__).parent
_POOL_SIZE: Final = 4
_IN_CLEAR: Final = _(
    "Le port DICOM reçoit en clair au-delà de cette machine : quiconque écoute ce réseau y voit les images."
)


def create_app(settings: Settings, *, dicom_host: str = "127.0.0.1") -> FastAPI:
    """Make the desk. `dicom_host` is where the DICOM door listens; in clear beyond loopback every page warns of it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pool = database.pool(settings, "gateway", size=_POOL_SIZE)
        try:
            yield
        finally:
            app.state.pool.close()

    app = FastAPI(title="groundglass gateway", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.settings = settings
    furnish(app, site(in_clear=not settings.gateway.tls_certificate and not _is_loopback(dicom_host)))
    for part in (queue, quarantine, ledger, health):
        app.include_router(part.router)
    return app


def site(*, in_clear: bool = False) -> Site:
    """Return the pages of the hospital's zone."""
    everyone: tuple[Role, ...] = ("contributor", "admin")
    return Site(
        zone="gateway",
        label=_("Passerelle de l'hôpital"),
        templates=_HERE / "templates",
        english=_HERE / "english.toml",
        sections=(
            Section("/", _("File d'attente"), everyone),
            Section("/quarantaine", _("Quarantaine"), everyone),
            Section("/registre", _("Bilan des réceptions"), everyone),
        ),
        banners=(_IN_CLEAR,) if in_clear else (),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
