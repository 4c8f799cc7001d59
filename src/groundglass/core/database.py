"""The two databases: who may connect, how to connect, and an instance that answers while a command runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool

from groundglass.config import Settings
from groundglass.core.migrations import ZONES, Zone, migrate
from groundglass.core.postgres import Postgres, socket_host
from groundglass.core.secretfiles import private_folder, read_or_make
from groundglass.errors import FolderInUseError, UnavailableError

__all__ = ["ZONES", "Zone", "close_lent", "connect", "conninfo", "lent", "owned", "pool", "reachable"]

_WAIT_SECONDS = 30.0


def conninfo(settings: Settings, zone: Zone) -> str:
    """Return the conninfo of a zone's application role, password included: never log it."""
    if url := getattr(settings, zone).database_url:
        return str(url)
    return psycopg.conninfo.make_conninfo(
        host=socket_host(settings.data / "postgres"),
        user=f"{zone}_app",
        dbname=zone,
        password=_app_secret(settings, zone).read_text(),
    )


def connect(settings: Settings, zone: Zone, *, autocommit: bool = False) -> psycopg.Connection:
    """Open one connection of a zone. Raises UnavailableError."""
    try:
        return psycopg.connect(conninfo(settings, zone), autocommit=autocommit)
    except (psycopg.OperationalError, FileNotFoundError):
        raise UnavailableError(f"the {zone} database does not answer") from None


@contextlib.contextmanager
def lent(settings: Settings, zone: Zone, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """Lend this process's own connection of a zone, opened at first use and again when it broke.

    For the handlers of a worker's child, which do one thing at a time: connecting costs more than most queries. What is
    not committed is rolled back. Raises UnavailableError.
    """
    key = (conninfo(settings, zone), autocommit)
    connection = _lent.pop(key, None)  # while it is lent, nobody else gets it
    if connection is None or not _alive(connection):
        connection = connect(settings, zone, autocommit=autocommit)
    try:
        yield connection
    finally:
        with contextlib.suppress(psycopg.Error):
            connection.rollback()
        if connection.closed or _lent.setdefault(key, connection) is not connection:
            connection.close()


_lent: dict[tuple[str, bool], psycopg.Connection] = {}


def close_lent() -> None:
    """Close the connections that `lent` keeps."""
    while _lent:
        _lent.popitem()[1].close()


def _alive(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT")
        connection.rollback()
    except psycopg.Error:
        connection.close()
        return False
    return True


def pool(settings: Settings, zone: Zone, *, size: int = 4) -> ConnectionPool:
    """Open a pool of a zone; whoever opens it closes it."""
    return ConnectionPool(
        conninfo(settings, zone), min_size=1, max_size=size, open=True, check=ConnectionPool.check_connection
    )


@contextlib.contextmanager
def owned(settings: Settings, *, options: dict[str, str] | None = None) -> Iterator[Postgres | None]:
    """Own the data folder: databases started (embedded ones), provisioned and migrated.

    Yields the embedded server, None when both databases are external. Raises FolderInUseError at once when another
    instance serves this folder.
    """
    for folder in (settings.data, settings.gateway_dir, settings.registry_dir):
        private_folder(folder)
    with _lock(settings.data / ".owner.lock"):
        embedded = [zone for zone in ZONES if not getattr(settings, zone).database_url]
        server = Postgres(settings.data / "postgres", settings.data / "secrets" / "postgres", options=options)
        try:
            if embedded:
                server.start()
            for zone in ZONES:
                migrate(_owner_conninfo(settings, server, zone), zone)
            yield server if embedded else None
        finally:
            if embedded:
                with _users_gone(settings):
                    server.stop()


@contextlib.contextmanager
def reachable(settings: Settings) -> Iterator[None]:
    """Have both databases answer for the time of a command, serve up or down."""
    private_folder(settings.data)
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        with _shared(settings.data / ".users.lock"):
            if _answers(settings):
                yield
                return
        try:
            with owned(settings):
                yield
                return
        except FolderInUseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _answers(settings: Settings) -> bool:
    try:
        for zone in ZONES:
            with connect(settings, zone) as connection:
                connection.execute("SELECT 1 FROM _yoyo_migration LIMIT 1")
    except (UnavailableError, psycopg.Error):
        return False
    return True


def _owner_conninfo(settings: Settings, server: Postgres, zone: Zone) -> str:
    """Return the conninfo that owns a zone's tables, after making database and roles where they are missing."""
    if url := getattr(settings, zone).database_url:
        return str(url)
    password = read_or_make(_app_secret(settings, zone), lambda: secrets.token_urlsafe(32).encode()).decode()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        _provision(connection, zone, password)
    with psycopg.connect(server.conninfo(zone), autocommit=True) as connection:
        _close_schema(connection, zone)
    return psycopg.conninfo.make_conninfo(server.conninfo(zone), options=f"-c role={zone}_owner")


def _provision(connection: psycopg.Connection, zone: Zone, password: str) -> None:
    owner, app = sql.Identifier(f"{zone}_owner"), sql.Identifier(f"{zone}_app")
    roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
    if f"{zone}_owner" not in roles:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(owner))
    if f"{zone}_app" not in roles:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(app))
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(app, sql.Literal(password)))
    connection.execute(sql.SQL("ALTER ROLE {} SET search_path = public").format(app))
    connection.execute(sql.SQL("ALTER ROLE {} SET statement_timeout = '120s'").format(app))
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (zone,)).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(zone), owner))
    for name in (zone, "postgres", "template1"):
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(zone), app))


def _close_schema(connection: psycopg.Connection, zone: Zone) -> None:
    names = {"owner": sql.Identifier(f"{zone}_owner"), "app": sql.Identifier(f"{zone}_app")}
    for statement in (
        "ALTER SCHEMA public OWNER TO {owner}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO {app}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT USAGE, SELECT ON SEQUENCES TO {app}",
    ):
        connection.execute(sql.SQL(statement).format(**names))


def _app_secret(settings: Settings, zone: Zone) -> Path:
    return settings.data / zone / "secrets" / "database"


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise FolderInUseError(f"another groundglass owns {path.parent}: stop it, or name another --data") from None
    finally:
        os.close(fd)


@contextlib.contextmanager
def _shared(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _users_gone(settings: Settings) -> Iterator[None]:
    """Let commands that use this instance finish, and keep new ones out until it is down."""
    fd = os.open(settings.data / ".users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _WAIT_SECONDS
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
        yield
    finally:
        os.close(fd)
