"""The engine's own tables, read from the library that is installed."""

from __future__ import annotations

from importlib import resources


def procrastinate_schema() -> str:
    """Return the SQL that makes procrastinate's tables in an empty database."""
    return (resources.files("procrastinate") / "sql" / "schema.sql").read_text(encoding="utf-8")
