"""Every error of every door as an RFC 9457 problem, in the reader's language; as a page for a browser.

Nothing that was sent comes back in a problem: no value, no header, no name of a file.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
import psycopg_pool
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from groundglass.errors import GroundglassError, NoRoomError, NotSignedInError, UnavailableError
from groundglass.ui import access, translations
from groundglass.ui.language import Language, language_of
from groundglass.ui.problem_texts import Kind, kind_of

MEDIA_TYPE: Final = "application/problem+json"
_PROGRAM_PATHS: Final = ("/api/", "/dicom-web", "/open/", "/openapi.json", "/metrics", "/healthz", "/readyz")
_PASSED_HEADERS: Final = frozenset({"allow", "content-range", "retry-after"})


def install(app: FastAPI) -> None:
    """Answer all errors of `app` as problems. Unexpected exceptions are caught by `shield`, outside of all routes."""
    app.add_exception_handler(GroundglassError, _expected)
    app.add_exception_handler(HTTPException, _from_framework)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(psycopg.OperationalError, _expected)
    app.add_exception_handler(psycopg_pool.PoolTimeout, _expected)


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks: a page address, and HTML among the accepted types."""
    return not request.url.path.startswith(_PROGRAM_PATHS) and "text/html" in request.headers.get("accept", "")


def unexpected(request: Request, error: Exception) -> Response:
    """Answer an exception that nobody foresaw, without a word of it."""
    known = _known(error)
    return _expected(request, known) if known else respond(request, kind_of("internal", 500), status=500)


def respond(
    request: Request,
    kind: Kind,
    *,
    status: int,
    message: str = "",
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the answer. `message` is a French source text, or an English one from the error tree for programs."""
    language = language_of(request)
    pages = getattr(request.app.state, "pages", None)
    title, detail = _words(kind, message, language, getattr(pages, "catalogue", None) or translations.own())
    if pages is not None and wants_page(request):
        page: Response = pages.render(
            request, "problem.html", status=status, title=title, detail=detail, advice=kind.advice, code=status
        )
        page.headers.update(headers or {})
        return page
    body: dict[str, Any] = {"type": f"/problems/{kind.slug}", "title": title, "status": status, "detail": detail}
    if message and message != detail:
        body["message"] = message
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, media_type=MEDIA_TYPE, headers={"Content-Language": language, **(headers or {})})


def _words(kind: Kind, message: str, language: Language, catalogue: translations.Catalogue) -> tuple[str, str]:
    """Title and detail. A message without translation is English: in French the advice stands in its place."""
    title = catalogue.text(kind.title, language)
    if message and (language == "en" or catalogue.knows(message)):
        return title, catalogue.text(message, language)
    return title, catalogue.text(kind.advice, language)


def _expected(request: Request, raised: Exception) -> Response:
    error = _known(raised)
    if error is None:
        raise raised
    headers: dict[str, str] = {}
    if isinstance(error, NotSignedInError):
        if request.method in ("GET", "HEAD") and wants_page(request):
            return _to_sign_in(request)
        headers["WWW-Authenticate"] = 'Bearer realm="groundglass"'
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = "5"
    kind = kind_of(error.slug, error.http_status)
    return respond(request, kind, status=error.http_status, message=str(error), headers=headers)


def _known(error: Exception) -> GroundglassError | None:
    """Return the member of our tree that stands for an exception. PostgreSQL's own words carry values: never shown."""
    if isinstance(error, GroundglassError):
        return error
    if isinstance(error, psycopg.OperationalError | psycopg_pool.PoolTimeout):
        return UnavailableError()
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoomError()
    return None


def _to_sign_in(request: Request) -> Response:
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?{urlencode({'next': target})}", status_code=303)


def _from_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if wants_page(request) and hasattr(request.app.state, "pages"):
        access.visitor_of(request)  # no route was met: the page's bar must still know who is there
    # The framework's own detail may echo what was sent; only its status and a few headers are taken.
    return respond(request, kind_of("", error.status_code), status=error.status_code, headers=_kept(error.headers))


def _kept(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (headers or {}).items() if name.lower() in _PASSED_HEADERS}


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [{"pointer": _pointer(fault["loc"]), "code": str(fault["type"])} for fault in error.errors()]
    return respond(request, kind_of("unprocessable", 422), status=422, errors=faults)


def _pointer(location: tuple[int | str, ...]) -> str:
    """Say where by names that the schema knows; names that the sender chose are left out."""
    return "/" + "/".join(str(part) for part in location[:2])
