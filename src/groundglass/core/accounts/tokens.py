"""Bearer tokens: 256 random bits, shown once, kept as a hash, always expiring (security.md S5)."""

from __future__ import annotations

import hashlib
import re
import secrets

import psycopg

from groundglass.core import audit
from groundglass.core.accounts.centres import ensure_centre
from groundglass.core.accounts.people import Account, Role, create_account, find_account
from groundglass.core.migrations import Zone
from groundglass.errors import ConflictError, NotFoundError, NotSignedInError, UsageError

_TOKEN = re.compile(r"gg_[A-Za-z0-9_-]{43}", re.ASCII)
_AT_THE_GATEWAY: frozenset[Role] = frozenset({"contributor", "admin"})
_DAYS, _DAYS_OF_GATEWAY, _MOST_DAYS = 90, 365, 3660

_FIND = """
SELECT account.id, account.name, account.role, account.centre, token.id,
       token.last_used_at IS NULL OR token.last_used_at < now() - interval '1 minute'
FROM token JOIN account ON account.id = token.account_id
WHERE token.hash = %s AND token.revoked_at IS NULL AND token.expires_at > now() AND account.disabled_at IS NULL
"""
# Skipping a row that another request is marking: the mark is to the minute, and nobody waits for it.
_MARK = """
UPDATE token SET last_used_at = now()
WHERE id = (SELECT id FROM token WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED)
"""


def digest(secret: str) -> bytes:
    """Return what is kept of a token or session secret; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def issue_token(
    conn: psycopg.Connection,
    *,
    role: Role,
    zone: Zone,
    centre: str | None = None,
    name: str | None = None,
    days: int | None = None,
    by: str = "command",
) -> str:
    """Make a token and return it, this once. Default life: a gateway's 365 days, a script's 90.

    It belongs to the account `name`, made if missing (default: one for each role and centre); an account of that name
    with another role or centre raises ConflictError. Raises UsageError for a role that has no door in the zone.
    """
    if zone == "gateway" and role not in _AT_THE_GATEWAY:
        raise UsageError("at the gateway there are contributor and admin; other roles belong to the registry")
    life = days if days is not None else _DAYS_OF_GATEWAY if role == "gateway" else _DAYS
    if not 0 < life <= _MOST_DAYS:
        raise UsageError(f"a token lives 1 to {_MOST_DAYS} days")
    account = _holder(conn, name or _default_name(role, centre), role=role, centre=centre, by=by)
    token = f"gg_{secrets.token_urlsafe(32)}"
    row = conn.execute(
        "INSERT INTO token (account_id, hash, expires_at) VALUES (%s, %s, now() + make_interval(days => %s))"
        " RETURNING id",
        (account.id, digest(token), life),
    ).fetchone()
    assert row
    detail: dict[str, audit.JsonValue] = {"account": account.id, "role": role, "days": life}
    audit.record(conn, by=by, action="token.issue", target=f"token {row[0]}", detail=detail)
    return token


def by_token(conn: psycopg.Connection, token: str) -> Account:
    """Return whose token this is. Raises NotSignedInError if it or its account is unknown or no longer valid."""
    account, token_id, stale = find_token(conn, token)
    if stale:
        conn.execute(_MARK, (token_id,))
    return account


def find_token(conn: psycopg.Connection, token: str) -> tuple[Account, int, bool]:
    """Return the account, the token's id, and whether its last use should be written down."""
    row = conn.execute(_FIND, (digest(token),)).fetchone() if _TOKEN.fullmatch(token) else None
    if row is None:
        raise NotSignedInError("this token is unknown, expired or revoked: ask for another")
    return Account(*row[:4]), row[4], row[5]


def revoke_token(conn: psycopg.Connection, token_id: int, *, by: str) -> None:
    """End a token and the sessions that were opened with it. Raises NotFoundError."""
    found = conn.execute(
        "UPDATE token SET revoked_at = coalesce(revoked_at, now()) WHERE id = %s RETURNING id", (token_id,)
    ).fetchone()
    if found is None:
        raise NotFoundError("there is no such token")
    conn.execute("DELETE FROM session WHERE token_id = %s", (token_id,))
    audit.record(conn, by=by, action="token.revoke", target=f"token {token_id}")


def _default_name(role: Role, centre: str | None) -> str:
    return f"token {role}" if centre is None else f"token {role} {centre.casefold()}"


def _holder(conn: psycopg.Connection, name: str, *, role: Role, centre: str | None, by: str) -> Account:
    if centre is not None:
        ensure_centre(conn, centre, by=by)
    try:
        account = find_account(conn, name)
    except NotFoundError:
        return create_account(conn, name, role=role, centre=centre, by=by)
    if (account.role, account.centre) != (role, centre):
        raise ConflictError("the account of this name has another role or centre: choose another name")
    return account
