"""Whether the desk lives, and whether it can work."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from groundglass.ui import access

router = APIRouter(include_in_schema=False, dependencies=[Depends(access.public())])


@router.api_route("/healthz", methods=["GET", "HEAD"])
def alive() -> Response:
    """Answer while the process lives."""
    return JSONResponse({"status": "ok"})


@router.api_route("/readyz", methods=["GET", "HEAD"])
def ready(request: Request) -> Response:
    """Answer when the database answers; 503 as a problem else."""
    with access.pool(request).connection(timeout=2) as conn:
        conn.execute("SELECT 1")
    return JSONResponse({"status": "ready"})
