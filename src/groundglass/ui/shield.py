"""The headers of every answer (security.md B1, B3), and the last net under every exception."""

from __future__ import annotations

import secrets
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groundglass.core import logs
from groundglass.ui import problems

_log = logs.logger("ui.shield")

REPORTS: Final = "/csp-report"
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "frame-ancestors 'none'; report-uri " + REPORTS
)
# What is no page is never rendered: no script, no frame, wherever a browser may have been led to open it.
_DATA_POLICY: Final = "default-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; sandbox"
_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Shield:
    """ASGI middleware, the outermost of the application's. A header that a route has set itself stands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce
        started = False

        async def shielded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _dress(MutableHeaders(scope=message), nonce=nonce, secure=scope["scheme"] == "https")
            await send(message)

        try:
            await self._app(scope, receive, shielded)
        except Exception as error:  # noqa: BLE001 - the last net: no exception text may reach a log or an answer
            _log.failure("request-failed", error)
            if started:
                # The server must close the connection, so that a cut answer is never taken for a whole one.
                raise RuntimeError("an answer broke off") from None
            await problems.unexpected(Request(scope, receive), error)(scope, receive, shielded)


def _dress(headers: MutableHeaders, *, nonce: str, secure: bool) -> None:
    page = headers.get("content-type", "").startswith("text/html")
    headers.setdefault("Content-Security-Policy", _PAGE_POLICY.format(nonce=nonce) if page else _DATA_POLICY)
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    # What carries an ETag may be kept by its reader if it asks again each time; nothing else is kept.
    headers.setdefault("Cache-Control", "private, no-cache" if "etag" in headers and not page else "no-store")
    if secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
