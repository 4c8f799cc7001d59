"""The collections that this registry takes packages for."""

from __future__ import annotations

import re

import psycopg

from groundglass.errors import UsageError

_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


def ensure(conn: psycopg.Connection, code: str) -> None:
    """Make the collection if there is none of this code, in the caller's transaction. Raises UsageError."""
    if not _CODE.fullmatch(code):
        raise UsageError("a collection's code is up to 63 small letters, digits and hyphens")
    conn.execute("INSERT INTO collection (code) VALUES (%s) ON CONFLICT DO NOTHING", (code,))


def known(conn: psycopg.Connection, code: str) -> bool:
    """Tell whether packages of this collection are taken."""
    return conn.execute("SELECT 1 FROM collection WHERE code = %s", (code,)).fetchone() is not None
