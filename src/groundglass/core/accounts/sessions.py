"""Browser sessions: opened by password or token, ended by idleness, age, sign-out, or what ends the account (S4)."""

from __future__ import annotations

import secrets
from datetime import timedelta

import psycopg
from psycopg.pq import TransactionStatus

from groundglass.core import audit
from groundglass.core.accounts import passwords, throttle
from groundglass.core.accounts.people import Account, plain_name
from groundglass.core.accounts.tokens import digest, find_token
from groundglass.errors import NotSignedInError

_IDLE, _AGE = timedelta(minutes=30), timedelta(hours=12)
_IDLE_OF_ADMIN, _AGE_OF_ADMIN = timedelta(minutes=15), timedelta(hours=8)
_LONGEST_SECRET = 100

_FIND = """
SELECT account.id, account.name, account.role, account.centre, session.seen_at < now() - interval '30 seconds'
FROM session JOIN account ON account.id = session.account_id LEFT JOIN token ON token.id = session.token_id
WHERE session.hash = %s AND session.expires_at > now() AND session.seen_at + session.idle > now()
    AND account.disabled_at IS NULL
    AND (session.token_id IS NULL OR (token.revoked_at IS NULL AND token.expires_at > now()))
"""
_MARK = """
UPDATE session SET seen_at = now()
WHERE hash = (SELECT hash FROM session WHERE hash = %s FOR NO KEY UPDATE SKIP LOCKED)
"""


def sign_in(conn: psycopg.Connection, name: str, password: str, *, address: str | None = None) -> str:
    """Return the secret of a new session. Raises NotSignedInError, the same whatever was wrong, in the same time.

    `conn` must be outside a transaction: the try is committed before the password is looked at, so that no caller's
    rollback gives a guess back.
    """
    if conn.info.transaction_status != TransactionStatus.IDLE:
        raise RuntimeError("sign_in commits by itself: call it outside a transaction")
    kept = plain_name(name)
    with conn.transaction():
        number = throttle.admit(conn, kept or name, address)
        row = conn.execute(
            "SELECT id, name, role, centre, password_hash FROM account WHERE name = %s AND disabled_at IS NULL", (kept,)
        ).fetchone()
    if number is None:
        raise _refusal()
    good = passwords.matches(row[4] if row else None, password)
    if row is None or not good:
        _tell_failure(conn, row)
        raise _refusal()
    account = Account(*row[:4])
    with conn.transaction():
        throttle.succeeded(conn, number)
        if passwords.is_outdated(row[4]):
            new_hash = passwords.hashed(password)
            conn.execute("UPDATE account SET password_hash = %s WHERE id = %s", (new_hash, account.id))
        return _open(conn, account, token_id=None)


def session_for_token(conn: psycopg.Connection, token: str) -> str:
    """Return the secret of a new session for the holder of a token; it ends with the token. Raises NotSignedInError."""
    account, token_id, _ = find_token(conn, token)
    return _open(conn, account, token_id=token_id)


def by_session(conn: psycopg.Connection, secret: str) -> Account:
    """Return whose session this is, and keep it awake. Raises NotSignedInError."""
    key = digest(secret) if secret.isascii() and len(secret) <= _LONGEST_SECRET else b""
    row = conn.execute(_FIND, (key,)).fetchone()
    if row is None:
        raise NotSignedInError("the session has ended: sign in again")
    if row[4]:
        conn.execute(_MARK, (key,))
    return Account(*row[:4])


def sign_out(conn: psycopg.Connection, secret: str) -> None:
    """End the session; one that has ended is fine."""
    key = digest(secret) if secret.isascii() else b""
    row = conn.execute("DELETE FROM session WHERE hash = %s RETURNING account_id", (key,)).fetchone()
    if row:
        audit.record(conn, by=f"account {row[0]}", action="session.close", target=f"account {row[0]}")


def _open(conn: psycopg.Connection, account: Account, *, token_id: int | None) -> str:
    secret = secrets.token_urlsafe(32)
    admin = account.role == "admin"
    conn.execute("DELETE FROM session WHERE expires_at < now()")
    conn.execute(
        "INSERT INTO session (hash, account_id, token_id, idle, expires_at) VALUES (%s, %s, %s, %s, now() + %s)",
        (
            digest(secret),
            account.id,
            token_id,
            _IDLE_OF_ADMIN if admin else _IDLE,
            _AGE_OF_ADMIN if admin else _AGE,
        ),
    )
    detail: dict[str, audit.JsonValue] = {"by": "password" if token_id is None else f"token {token_id}"}
    audit.record(conn, by=account.name, action="session.open", target=f"account {account.id}", detail=detail)
    return secret


def _tell_failure(conn: psycopg.Connection, row: tuple[object, ...] | None) -> None:
    target = f"account {row[0]}" if row else "unknown account"  # never the name that was typed
    with conn.transaction():
        audit.record(conn, by="anonymous", action="session.refuse", target=target)


def _refusal() -> NotSignedInError:
    return NotSignedInError("name and password do not match, or there were too many tries: try again later")
