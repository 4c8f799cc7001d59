"""`/api/v1/series`: the package of a series, for curators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from groundglass.core.accounts import Account
from groundglass.registry.search import OneOf
from groundglass.ui import access, problems
from groundglass.ui.problem_texts import kind_of
from groundglass.web.dicomweb import packages
from groundglass.web.dicomweb.scope import checked_uid, granted
from groundglass.web.etags import RangeNotSatisfiableError, byte_range, cached

router = APIRouter(prefix="/api/v1/series", tags=["series"])


@router.get("/{uid}/package")
@router.head("/{uid}/package", include_in_schema=False)
def package(request: Request, uid: str, account: Annotated[Account, Depends(access.signed_in("curator"))]) -> Response:
    """Give the current package; its ETag is its SHA-256, and one range may be asked for."""
    (series,) = granted(request, account, [OneOf("series_instance_uid", (checked_uid(uid),))])
    tag = series.package_sha256.hex()
    if (answer := cached(request, tag)) is not None:
        return answer
    try:
        part = byte_range(request, tag, series.n_bytes)
    except RangeNotSatisfiableError as error:
        size = {"Content-Range": f"bytes */{series.n_bytes}"}  # RFC 9110 15.5.17
        return problems.respond(request, kind_of(error.slug, 416), status=416, message=str(error), headers=size)
    offset, length = part or (0, series.n_bytes)
    headers = {
        "ETag": f'"{tag}"',
        "Accept-Ranges": "bytes",
        "Content-Length": str(length),
        "Content-Disposition": f'attachment; filename="{tag[:16]}.zip"',
    }
    if part:
        headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{series.n_bytes}"
    content = packages.stream(request, series, offset, length) if request.method == "GET" else iter(())
    return StreamingResponse(content, 206 if part else 200, headers=headers, media_type="application/zip")
