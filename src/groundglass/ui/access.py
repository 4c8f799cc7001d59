"""Who may pass a door. Every route names its right by one of the dependencies made here, so that a test can walk them.

A person or program is known by `Authorization: Bearer`, or by the session cookie that the sign-in page gave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from psycopg import Connection
from psycopg_pool import ConnectionPool
from starlette.requests import Request

from groundglass.core import accounts
from groundglass.core.accounts import Account, Role
from groundglass.errors import NotAllowedError, NotSignedInError
from groundglass.ui.translations import _

Dependency = Callable[[Request], Account | None]
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Right:
    """What a door asks: one of the roles; none listed = everybody. `near` = also anyone on this machine."""

    roles: frozenset[Role]
    near: bool = False

    @property
    def public(self) -> bool:
        """Whether no account is asked."""
        return not self.roles


_rights: dict[Callable[..., object], Right] = {}


def right_of(dependency: Callable[..., object] | None) -> Right | None:
    """Return the right that a dependency stands for, None if it is not one of ours."""
    return _rights.get(dependency) if dependency is not None else None


def signed_in(*roles: Role) -> Callable[[Request], Account]:
    """Make the dependency of a route for accounts of one of the roles (at least one).

    Raises NotSignedInError or NotAllowedError; `problems` turns them into a problem or the way to the sign-in page.
    """
    right = Right(frozenset(roles))
    assert roles, "a route for everybody says public()"

    def account(request: Request) -> Account:
        found = account_of(request)
        if found.role not in right.roles:
            raise NotAllowedError(_("Votre rôle ne permet pas d'ouvrir cette page."))
        return found

    _rights[account] = right
    return account


def public() -> Dependency:
    """Make the dependency of a route for everybody. It gives the account of who is signed in, else None."""

    def visitor(request: Request) -> Account | None:
        return visitor_of(request)

    _rights[visitor] = Right(frozenset())
    return visitor


def nearby(*roles: Role) -> Dependency:
    """Make the dependency of a route for programs on this machine, and for accounts of the roles from elsewhere."""
    right = Right(frozenset(roles), near=True)
    far = signed_in(*roles)

    def visitor(request: Request) -> Account | None:
        if request.client is not None and request.client.host in _LOOPBACK:
            return None
        return far(request)

    _rights[visitor] = right
    return visitor


def own_centre(account: Account) -> str | None:
    """Return the centre to which the account's view is bound, None for roles that see all of them.

    Raises NotAllowedError for a contributor who belongs to no centre.
    """
    if account.role not in ("contributor", "gateway"):
        return None
    if account.centre is None:
        raise NotAllowedError(_("Votre compte n'est rattaché à aucun centre. Demandez-le à l'administrateur."))
    return account.centre


def visitor_of(request: Request) -> Account | None:
    """Return whose session this request carries, None without a valid one."""
    if cookie_name(request) not in request.cookies:
        return None
    try:
        return account_of(request)
    except (NotSignedInError, NotAllowedError):
        return None


def account_of(request: Request) -> Account:
    """Return whose token or session this request carries; also kept as `request.state.account` for the page."""
    account = _known(request)
    request.state.account = account
    return account


def _known(request: Request) -> Account:
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _space, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotSignedInError(_("L'en-tête Authorization doit être de la forme « Bearer JETON »."))
        with pool(request).connection() as conn:
            return accounts.by_token(conn, token.strip())
    secret = request.cookies.get(cookie_name(request))
    if secret is None:
        raise NotSignedInError(_("Connectez-vous pour ouvrir cette page."))
    if request.method not in _SAFE_METHODS and not same_origin(request):
        raise NotAllowedError(_("Cette demande ne vient pas d'une page de ce site."))
    with pool(request).connection() as conn:
        return accounts.by_session(conn, secret)


def pool(request: Request) -> ConnectionPool[Connection[tuple[Any, ...]]]:
    """Return the pool of the zone's database, which `create_app` keeps as `app.state.pool`."""
    found: ConnectionPool[Connection[tuple[Any, ...]]] = request.app.state.pool
    return found


def cookie_name(request: Request) -> str:
    """Name the session cookie. Two zones on one host have two names: cookies do not know about ports."""
    suffix = "" if getattr(request.app.state, "zone", "registry") == "registry" else "-desk"
    prefix = "__Host-" if is_secure(request) else ""  # browsers refuse the prefix in clear
    return f"{prefix}groundglass{suffix}"


def is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to a declared proxy."""
    return request.url.scheme == "https"


def same_origin(request: Request) -> bool:
    """Whether a browser says that one of our own pages sent this.

    Sec-Fetch-Site first: under `Referrer-Policy: no-referrer` a form's Origin is the word `null`.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return False
    return urlsplit(origin)[:2] == (request.url.scheme, request.headers.get("host", ""))
