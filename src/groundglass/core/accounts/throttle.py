"""How often one may try to sign in (security.md S3).

5 failures in 15 minutes for an account, 20 for an address, and a wait that doubles with every failure of the day. An
address that has succeeded for the account before has its own budget: a stranger's guesses never lock the owner out.
Names and addresses are kept as hashes: people type passwords into the field of the name.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import psycopg

PER_ACCOUNT: Final = 5
PER_ADDRESS: Final = 20
_LONGEST_WAIT_SECONDS = 900

_KNOWN = """
SELECT EXISTS (SELECT FROM sign_in_try WHERE account_key = %(account)s AND address_key = %(address)s AND succeeded
               AND at > now() - interval '90 days')
"""
_COUNT = """
WITH failed AS (
    SELECT at FROM sign_in_try AS try
    WHERE account_key = %(account)s AND NOT succeeded AND at > now() - interval '1 day'
        AND known = %(known)s AND (NOT known OR address_key = %(address)s)
        AND NOT EXISTS (
            SELECT FROM sign_in_try AS good
            WHERE good.account_key = try.account_key AND good.succeeded AND good.at > try.at AND good.known = %(known)s)
)
SELECT count(*) FILTER (WHERE at > now() - interval '15 minutes'), count(*),
       coalesce(extract(epoch FROM now() - max(at)), 1e9),
       (SELECT count(*) FROM sign_in_try
        WHERE address_key = %(address)s AND NOT succeeded AND at > now() - interval '15 minutes')
FROM failed
"""


def admit(conn: psycopg.Connection, name: str, address: str | None) -> int | None:
    """Count a try and return its number, or None if it may not be evaluated now. Commit before evaluating."""
    keys: dict[str, object] = {"account": _key("account", name), "address": _key("address", address or "")}
    for kind in ("account", "address"):  # always in this order; tries of one account or address come one by one
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(encode(%s, 'hex'), 7237))", (keys[kind],))
    known = address is not None and bool(_one(conn, _KNOWN, keys)[0])
    keys["known"] = known
    recent, today, since_last, from_address = _one(conn, _COUNT, keys)
    wait = 0 if today < PER_ACCOUNT else min(_LONGEST_WAIT_SECONDS, 2 ** (today - PER_ACCOUNT))
    if recent >= PER_ACCOUNT or since_last < wait:
        return None
    if address is not None and not known and from_address >= PER_ADDRESS:
        return None
    insert = "INSERT INTO sign_in_try (account_key, address_key, known) VALUES (%(account)s, %(address)s, %(known)s)"
    return int(_one(conn, f"{insert} RETURNING id", keys)[0])


def succeeded(conn: psycopg.Connection, number: int) -> None:
    """Mark a try as good, and forget tries of long ago."""
    conn.execute("UPDATE sign_in_try SET succeeded = true WHERE id = %s", (number,))
    conn.execute("DELETE FROM sign_in_try WHERE at < now() - interval '90 days'")


def _key(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{value}".encode(errors="replace")).digest()


def _one(conn: psycopg.Connection, query: str, values: dict[str, object]) -> tuple[Any, ...]:
    row = conn.execute(query, values).fetchone()
    assert row
    return tuple(row)
