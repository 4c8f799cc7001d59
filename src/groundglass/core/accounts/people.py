"""Accounts: persons, and the programs that hold tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

import psycopg

from groundglass.core import audit
from groundglass.core.accounts import passwords
from groundglass.core.accounts.centres import ensure_centre
from groundglass.errors import ConflictError, NotFoundError, UsageError

Role = Literal["contributor", "gateway", "curator", "researcher", "committee", "custodian", "auditor", "admin"]

_NAME = re.compile(r"[a-z0-9][a-z0-9 _.@-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """Who acts. `centre` bounds what a contributor or gateway may see."""

    id: int
    name: str
    role: Role
    centre: str | None


def plain_name(name: str) -> str | None:
    """Return the name as it is kept (lower case), None for what cannot be one."""
    found = name.strip().casefold()
    return found if _NAME.fullmatch(found) else None


def create_account(
    conn: psycopg.Connection,
    name: str,
    *,
    role: Role,
    centre: str | None = None,
    password: str | None = None,
    by: str = "command",
) -> Account:
    """Make an account; without a password it enters by token only. Raises ConflictError if the name is taken."""
    kept = plain_name(name)
    if kept is None:
        raise UsageError("an account's name: 1 to 64 of a-z, 0-9, space, _ . @ -")
    if role not in get_args(Role):
        raise UsageError(f"no such role: choose among {', '.join(get_args(Role))}")
    if password is not None:
        passwords.check(password, name=kept, admin=role == "admin")
    if centre is not None:
        ensure_centre(conn, centre, by=by)
    row = conn.execute(
        "INSERT INTO account (name, role, centre, password_hash) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING id",
        (kept, role, centre, None if password is None else passwords.hashed(password)),
    ).fetchone()
    if row is None:
        raise ConflictError("there is an account of this name")
    audit.record(conn, by=by, action="account.create", target=f"account {row[0]}", detail={"role": role})
    return Account(row[0], kept, role, centre)


def find_account(conn: psycopg.Connection, name: str) -> Account:
    """Return the account of that name, disabled or not. Raises NotFoundError."""
    row = conn.execute("SELECT id, name, role, centre FROM account WHERE name = %s", (plain_name(name),)).fetchone()
    if row is None:
        raise NotFoundError("there is no such account")
    return Account(*row)


def ensure_admin(conn: psycopg.Connection, password: str | None) -> str | None:
    """Make `admin` if it is missing; return its password if one had to be made up, to be shown once.

    Raises UsageError for a given password that may not be one; the password of an `admin` that exists is not touched.
    """
    if conn.execute("SELECT 1 FROM account WHERE name = 'admin'").fetchone():
        return None
    chosen = password if password is not None else passwords.generated()
    try:
        create_account(conn, "admin", role="admin", password=chosen, by="system")
    except ConflictError:  # another process was first
        return None
    return None if password is not None else chosen


def set_password(conn: psycopg.Connection, name: str, password: str, *, by: str) -> None:
    """Give the account another password and end its sessions."""
    account = find_account(conn, name)
    passwords.check(password, name=account.name, admin=account.role == "admin")
    conn.execute("UPDATE account SET password_hash = %s WHERE id = %s", (passwords.hashed(password), account.id))
    _end_sessions(conn, account)
    audit.record(conn, by=by, action="account.password", target=f"account {account.id}")


def change_role(conn: psycopg.Connection, name: str, role: Role, *, by: str) -> None:
    """Give the account another role and end its sessions; its tokens carry the new role at once."""
    account = find_account(conn, name)
    conn.execute("UPDATE account SET role = %s WHERE id = %s", (role, account.id))
    _end_sessions(conn, account)
    audit.record(conn, by=by, action="account.role", target=f"account {account.id}", detail={"role": role})


def disable_account(conn: psycopg.Connection, name: str, *, by: str) -> None:
    """Shut the account out: its sessions and tokens end with this transaction."""
    account = find_account(conn, name)
    conn.execute("UPDATE account SET disabled_at = coalesce(disabled_at, now()) WHERE id = %s", (account.id,))
    conn.execute("UPDATE token SET revoked_at = now() WHERE account_id = %s AND revoked_at IS NULL", (account.id,))
    _end_sessions(conn, account)
    audit.record(conn, by=by, action="account.disable", target=f"account {account.id}")


def _end_sessions(conn: psycopg.Connection, account: Account) -> None:
    conn.execute("DELETE FROM session WHERE account_id = %s", (account.id,))
