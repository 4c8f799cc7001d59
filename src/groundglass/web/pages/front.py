"""The public front page. The watch opens here later; until then it publishes no figure."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from groundglass.ui import access, pages

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"], dependencies=[Depends(access.public())])
def front(request: Request) -> Response:
    """Say what this registry is."""
    return pages.render(request, "front.html", public=True)
