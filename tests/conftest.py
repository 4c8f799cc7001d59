"""Fixtures that every suite shares: one PostgreSQL per test process, a fresh migrated database per test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from groundglass import config
from groundglass.core import database, migrations
from groundglass.core.postgres import Postgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="gg-pg-"))
    folder.chmod(0o755)
    server = Postgres(folder / "cluster", folder / "secret", options={"fsync": "off", "full_page_writes": "off"})
    server.start()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        for zone in migrations.ZONES:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(f"template_{zone}")))
            migrations.migrate(server.conninfo(f"template_{zone}"), zone)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def settings(postgres: Postgres, tmp_path: Path) -> Iterator[config.Settings]:
    """Settings of an empty data folder on two fresh databases."""
    urls = {}
    for zone in migrations.ZONES:
        name = f"{zone}_{next(_numbers)}"
        with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(f"template_{zone}")
                )
            )
        urls[zone] = postgres.conninfo(name)
    yield config.Settings(
        data=tmp_path,
        gateway=config.Gateway(database_url=urls["gateway"], settle_seconds=0.2),
        registry=config.Registry(database_url=urls["registry"]),
        jobs=config.Jobs(heartbeat_seconds=0.5, stalled_seconds=2, reclaim_seconds=0.5, sweep_seconds=1),
    )
    database.close_lent()
    with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
        for url in urls.values():
            name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))


@pytest.fixture
def gateway_db(settings: config.Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.gateway.database_url or "") as connection:
        yield connection


@pytest.fixture
def registry_db(settings: config.Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.registry.database_url or "") as connection:
        yield connection
