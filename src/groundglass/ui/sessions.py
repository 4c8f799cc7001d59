"""The sign-in page, and the way out."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends
from psycopg import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from groundglass.core import accounts
from groundglass.core.accounts import Account
from groundglass.errors import NotAllowedError, NotSignedInError
from groundglass.ui import access, forms, pages
from groundglass.ui.translations import _

router = APIRouter(include_in_schema=False)

# Our cookie is ended by its name: the other zone of this machine shares the host, and its session is not ours to end.
_CLEARED: Final = '"cache", "storage"'


@router.get("/login")
def form(request: Request, visitor: Annotated[Account | None, Depends(access.public())]) -> Response:
    """Show the form, or go on when somebody is signed in already."""
    target = local_path(request.query_params.get("next"))
    if visitor is not None:
        return RedirectResponse(target, 303)
    return pages.render(request, "login.html", next=target, failed=False)


@router.post("/login", dependencies=[Depends(access.public())])
async def sign_in(request: Request) -> Response:
    """Open a session by name and password, or by a token. One answer for every failure."""
    _must_be_ours(request)
    given = await forms.fields(request)
    target = local_path(given.get("next"))
    try:
        secret = await run_in_threadpool(_open, request, given)
    except NotSignedInError:
        # The name is not written back: people type passwords there.
        return pages.render(request, "login.html", status=401, next=target, failed=True)
    answer = RedirectResponse(target, 303)
    answer.set_cookie(
        access.cookie_name(request), secret, httponly=True, samesite="strict", secure=access.is_secure(request)
    )
    return answer


@router.post("/logout", dependencies=[Depends(access.public())])
def sign_out(request: Request) -> Response:
    """End the session here and at the server, and have the browser forget the pages it showed."""
    if not access.same_origin(request):
        raise NotAllowedError(_("Cette demande ne vient pas d'une page de ce site."))
    name = access.cookie_name(request)
    if secret := request.cookies.get(name):
        with access.pool(request).connection() as conn:
            accounts.sign_out(conn, secret)
    answer = RedirectResponse("/", 303, headers={"Clear-Site-Data": _CLEARED})
    answer.delete_cookie(name, httponly=True, samesite="strict", secure=access.is_secure(request))
    return answer


def local_path(target: str | None) -> str:
    """Return the path to go on to: one of ours, never another site, `/` for anything doubtful."""
    if not target or not target.isprintable() or "\\" in target or not target.startswith("/"):
        return "/"
    if target.startswith(("//", "/login", "/logout")):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc else target


def _must_be_ours(request: Request) -> None:
    """Refuse a sign-in that another site's page sends; a program without a browser's headers may sign in."""
    foreign = "sec-fetch-site" in request.headers or "origin" in request.headers
    if foreign and not access.same_origin(request):
        raise NotAllowedError(_("Cette demande ne vient pas d'une page de ce site."))


def _open(request: Request, given: dict[str, str]) -> str:
    """Open a session with a new secret; the one that this browser held before ends."""
    address = request.client.host if request.client else None
    with access.pool(request).connection() as conn:
        secret = _secret(conn, given, address=address)
        if old := request.cookies.get(access.cookie_name(request)):
            accounts.sign_out(conn, old)
        return secret


def _secret(conn: Connection[tuple[Any, ...]], given: dict[str, str], *, address: str | None) -> str:
    if token := given.get("token", "").strip():
        return accounts.session_for_token(conn, token)
    return accounts.sign_in(conn, given.get("name", ""), given.get("password", ""), address=address)
