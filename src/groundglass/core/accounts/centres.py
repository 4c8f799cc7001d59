"""Contributing centres, and the AE titles that send for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg

from groundglass.core import audit
from groundglass.errors import UsageError

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}", re.ASCII)


def ensure_centre(conn: psycopg.Connection, code: str, *, by: str = "system") -> None:
    """Make the centre if it is missing. Raises UsageError for what cannot be a code."""
    if not _CODE.fullmatch(code):
        raise UsageError("a centre's code: 1 to 32 of letters, digits, space, _ . -, starting with a letter or digit")
    if conn.execute("SELECT 1 FROM centre WHERE code = %s", (code,)).fetchone():
        return  # the usual case, without a write
    made = conn.execute("INSERT INTO centre (code) VALUES (%s) ON CONFLICT DO NOTHING RETURNING code", (code,))
    if made.fetchone():
        audit.record(conn, by=by, action="centre.create", target=f"centre {code}")


def assign_aet(conn: psycopg.Connection, aet: str, centre: str, *, by: str) -> None:
    """Let what the AE title sends belong to a centre from now on."""
    if not is_aet(aet):
        raise UsageError("an AE title has 1 to 16 printable characters and no backslash")
    ensure_centre(conn, centre, by=by)
    conn.execute(
        "INSERT INTO ae_title (aet, centre) VALUES (%s, %s) ON CONFLICT (aet) DO UPDATE SET centre = excluded.centre",
        (aet, centre),
    )
    audit.record(conn, by=by, action="aet.assign", target=f"centre {centre}")


def centre_of_aet(conn: psycopg.Connection, aet: str, allowed: Sequence[str]) -> str | None:
    """Return the centre that a calling AE title sends for, None if it may not send.

    `allowed` lists AET or AET=CENTRE; while it is empty anyone may. Without a centre in the list or in the table, the
    title is the code of its centre, which is made when first seen.
    """
    listed = dict(_entry(entry) for entry in allowed)
    if not is_aet(aet) or (listed and aet not in listed):
        return None
    centre = listed.get(aet) or _assigned(conn, aet) or aet
    if not _CODE.fullmatch(centre):
        return None
    ensure_centre(conn, centre)
    return centre


def _entry(entry: str) -> tuple[str, str]:
    aet, _, centre = entry.partition("=")
    return aet.strip(), centre.strip()


def _assigned(conn: psycopg.Connection, aet: str) -> str | None:
    row = conn.execute("SELECT centre FROM ae_title WHERE aet = %s", (aet,)).fetchone()
    return row[0] if row else None


def is_aet(aet: str) -> bool:
    """PS3.5 table 6.2-1, AE: the default repertoire without control characters and backslash."""
    return 0 < len(aet) <= 16 and aet.isascii() and aet.isprintable() and "\\" not in aet and aet == aet.strip()
