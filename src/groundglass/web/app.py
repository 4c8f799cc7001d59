"""The application behind `--port`: registry, research and public pages, on one origin."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from fastapi import FastAPI

from groundglass import __version__
from groundglass.config import Settings
from groundglass.core import database
from groundglass.core.objects import open_objects
from groundglass.web import dicomweb, pages
from groundglass.web.api import inbox, series
from groundglass.web.dicomweb import packages
from groundglass.web.dicomweb.reads import Reads

_POOL_SIZE: Final = 8


def create_app(settings: Settings) -> FastAPI:
    """Make the registry's application; its pool and objects live while it serves."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pool = database.pool(settings, "registry", size=_POOL_SIZE)
        packages.prepare(app, open_objects(settings))
        app.state.reads = Reads()
        inbox.clear_incoming(settings)
        try:
            yield
        finally:
            app.state.pool.close()

    app = FastAPI(
        redirect_slashes=False,
        title="groundglass registry",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    pages.install(app)
    for part in (inbox, series, dicomweb):
        app.include_router(part.router)
    return app
