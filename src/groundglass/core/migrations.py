"""Numbered migrations of a zone's database: core's first, then the zone's. A newer schema than ours is refused."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path
from typing import Literal

import psycopg
from yoyo import read_migrations
from yoyo.backends import get_backend_class
from yoyo.connections import DatabaseURI

from groundglass.errors import GroundglassError

Zone = Literal["gateway", "registry"]
ZONES: tuple[Zone, ...] = ("gateway", "registry")


def migrate(conninfo: str, zone: Zone) -> None:
    """Apply what is missing, each migration in its transaction. Raises GroundglassError if the schema is newer."""
    logging.getLogger("yoyo").setLevel(logging.CRITICAL)  # it logs statements
    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    where = DatabaseURI("postgresql+psycopg", None, None, None, None, given.pop("dbname", None), dict(given))
    backend = get_backend_class("postgresql+psycopg")(where, "_yoyo_migration")
    try:
        backend.init_database()
        ours = read_migrations(*(str(folder) for folder in folders(zone)))
        # yoyo's own lock is a row that a killed process leaves behind; this one dies with the connection
        backend.execute("SELECT pg_advisory_lock(7237001)")
        backend.ensure_internal_schema_updated()
        _refuse_newer(backend, {migration.id for migration in ours}, zone)
        backend.apply_migrations(backend.to_apply(ours))
    finally:
        backend.connection.close()


def folders(zone: Zone) -> list[Path]:
    """Return the folders of SQL files in their order."""
    root = Path(str(resources.files("groundglass"))) / "sql"
    return [root / "core", root / zone]


def _refuse_newer(backend: object, ours: set[str], zone: Zone) -> None:
    applied = {row[0] for row in backend.execute("SELECT migration_id FROM _yoyo_migration")}  # type: ignore[attr-defined]
    if unknown := sorted(applied - ours):
        raise GroundglassError(
            f"the {zone} database is of a newer groundglass (migration {unknown[-1]}): install that version"
        )
