"""Give an application of a zone its pages, sign-in, errors and headers."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from groundglass.errors import NotFoundError
from groundglass.ui import assets, pages, problems, sessions, shield
from groundglass.ui.access import public
from groundglass.ui.pages import Pages, Site
from groundglass.ui.problem_texts import KINDS

_REPORT_LIMIT: Final = 16 * 1024
_shared = APIRouter(include_in_schema=False)


def furnish(app: FastAPI, site: Site) -> None:
    """Install all of `ui` in `app`. The caller keeps the pool of the zone's database as `app.state.pool`."""
    app.state.zone = site.zone
    app.state.pages = Pages(site)
    app.state.csp_reports = 0
    problems.install(app)
    app.add_middleware(shield.Shield)
    for router in (assets.router, sessions.router, _shared):
        app.include_router(router)


@_shared.get("/problems/{slug}", dependencies=[Depends(public())])
def problem(request: Request, slug: str) -> Response:
    """Explain one kind of problem: where the `type` of an error leads."""
    kind = KINDS.get(slug)
    if kind is None:
        raise NotFoundError
    return pages.render(request, "problem_kind.html", kind=kind)


@_shared.post(shield.REPORTS, dependencies=[Depends(public())], status_code=204)
async def policy_report(request: Request) -> Response:
    """Count a breach of the content policy that a browser reports. What it says is dropped: it holds addresses."""
    read = 0
    async for block in request.stream():
        read += len(block)
        if read > _REPORT_LIMIT:
            break
    request.app.state.csp_reports += 1
    return Response(status_code=204)
