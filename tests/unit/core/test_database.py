"""The embedded PostgreSQL: closed, owned by one, back after any death."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from groundglass import config
from groundglass.core import database, migrations, postgres
from groundglass.errors import FolderInUseError, GroundglassError, UnavailableError

HOLD = """
import sys, time
from pathlib import Path
from groundglass import config
from groundglass.core import database
with database.owned(config.load(Path(sys.argv[1]))) as server:
    print(server.pid, flush=True)
    time.sleep(600)
"""


def hold(settings: config.Settings) -> tuple[subprocess.Popen[str], int]:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(settings.data)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    return child, int(child.stdout.readline())


def end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()
    if child.stdout:
        child.stdout.close()


def test_a_second_instance_is_refused_and_a_command_uses_the_first(tmp_path: Path) -> None:
    settings = config.Settings(data=tmp_path)
    with database.owned(settings):
        with pytest.raises(FolderInUseError), database.owned(settings):
            pass
        with database.reachable(settings), database.connect(settings, "gateway") as connection:
            assert connection.execute("SELECT count(*) FROM intake").fetchone() == (0,)
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()


def test_a_folder_with_a_long_path_below_closed_parents(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    settings = config.Settings(data=closed / ("long" * 30))
    with database.owned(settings), database.connect(settings, "registry") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_no_zone_enters_the_other_and_nobody_enters_without_password(tmp_path: Path) -> None:
    settings = config.Settings(data=tmp_path)
    with database.owned(settings) as server:
        assert server
        assert stat.S_IMODE((tmp_path / "postgres").stat().st_mode) == 0o700
        gateway = psycopg.conninfo.conninfo_to_dict(database.conninfo(settings, "gateway"))
        for change in (
            {"dbname": "registry"},
            {"dbname": "postgres"},
            {"dbname": "template1"},
            {"password": "wrong"},
            {"user": "postgres"},
            {"user": "registry_app", "dbname": "registry"},
            {"host": "127.0.0.1"},
        ):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(**{**gateway, **change}).close()
        with database.connect(settings, "gateway", autocommit=True) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE anything (id int)")
            row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
            assert row == (False,)
            assert connection.execute("SHOW data_checksums").fetchone() == ("on",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user of the server")
def test_root_runs_the_server_as_another_user_from_binaries_it_can_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_reachable", lambda _path: False)
    settings = config.Settings(data=tmp_path)
    with database.owned(settings) as server:
        assert server
        assert server.pid
        staged = Path(os.readlink(f"/proc/{server.pid}/exe")).parents[3]
        assert staged.name.startswith("groundglass-postgres-")
        assert os.stat(f"/proc/{server.pid}").st_uid != 0
    assert not staged.exists()


@pytest.mark.parametrize("victim", ["owner", "postmaster", "both"])
def test_back_after_kill_9(tmp_path: Path, victim: str) -> None:
    settings = config.Settings(data=tmp_path)
    child, postmaster = hold(settings)
    try:
        with database.connect(settings, "gateway") as connection:
            connection.execute("INSERT INTO segment (id) VALUES (7)")
        if victim in ("postmaster", "both"):
            os.kill(postmaster, signal.SIGKILL)
        if victim in ("owner", "both"):
            child.kill()
            child.wait()
        else:
            end(child)
        with database.owned(settings), database.connect(settings, "gateway") as connection:
            assert connection.execute("SELECT id FROM segment").fetchall() == [(7,)]
    finally:
        end(child)


def test_a_stale_number_of_another_process_does_not_block(tmp_path: Path) -> None:
    settings = config.Settings(data=tmp_path)
    with database.owned(settings):
        lines = (tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join(["1", *lines[1:]]) + "\n")
    with database.owned(settings):
        pass


def test_a_killed_initdb_is_done_again(tmp_path: Path) -> None:
    settings = config.Settings(data=tmp_path)
    (tmp_path / "postgres" / "base").mkdir(parents=True)
    (tmp_path / "postgres" / "half").write_text("x")
    with database.owned(settings):
        assert not (tmp_path / "postgres" / "half").exists()


def test_a_newer_schema_is_refused(settings: config.Settings, registry_db: psycopg.Connection) -> None:
    registry_db.execute(
        "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc) VALUES ('x', '9999-later', now())"
    )
    registry_db.commit()
    with pytest.raises(GroundglassError, match="newer groundglass"):
        migrations.migrate(settings.registry.database_url or "", "registry")


def test_migrating_twice_changes_nothing(settings: config.Settings, gateway_db: psycopg.Connection) -> None:
    before = gateway_db.execute("SELECT count(*) FROM _yoyo_migration").fetchone()
    gateway_db.commit()
    migrations.migrate(settings.gateway.database_url or "", "gateway")
    assert gateway_db.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == before


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://app:secret@127.0.0.1:1/none"
    settings = config.Settings(data=tmp_path, registry=config.Registry(database_url=url))
    with pytest.raises(UnavailableError) as caught:
        database.connect(settings, "registry")
    assert "secret" not in str(caught.value)
    shutil.rmtree(tmp_path)


def test_a_lent_connection_is_the_same_again_and_another_while_it_is_lent(settings: config.Settings) -> None:
    with database.lent(settings, "gateway") as first:
        first.execute("INSERT INTO segment (id) VALUES (1)")
        with database.lent(settings, "gateway") as second:
            assert second is not first
    assert second.closed or first.closed  # one is kept
    with database.lent(settings, "gateway") as again:
        assert again in (first, second)
        assert again.execute("SELECT count(*) FROM segment").fetchone() == (0,)  # not committed, so undone


def test_a_lent_connection_that_the_server_ended_is_opened_again(settings: config.Settings) -> None:
    with database.lent(settings, "gateway") as first:
        pid = first.info.backend_pid
    with psycopg.connect(settings.gateway.database_url or "", autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with database.lent(settings, "gateway") as again:
        assert again is not first
        assert again.execute("SELECT 1").fetchone() == (1,)
