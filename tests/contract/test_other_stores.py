"""The same spine on a PostgreSQL that is not ours and on S3: one settings line each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from moto.server import ThreadedMotoServer
from psycopg import sql

from groundglass.core.postgres import Postgres
from groundglass.demo import phantom
from support.archive import Archive
from support.sending import send
from support.stack import Stack

BUCKET = "spine-on-s3"  # moto keeps one memory for all servers of a process
VARIABLES = {"gateway": "GROUNDGLASS_GATEWAY__DATABASE_URL", "registry": "GROUNDGLASS_DATABASE_URL"}


def files() -> list[phantom.Part10]:
    return list(phantom.objects(3, slices=5, rows=64, columns=64))


def must_work(stack: Stack) -> None:
    assert send(stack, files()) == [0] * 5
    assert stack.wait_quiet(5)["total"]["archived"] == 5
    with stack.client("curator") as client:
        (series,) = Archive(client).series()
        assert Archive(client).pixels(series) == [file.pixels for file in files()]
    assert stack.run("audit", "verify").returncode == 0


@pytest.fixture
def external(postgres: Postgres) -> Iterator[dict[str, str]]:
    """Settings that name two databases of a running server, each with a role of its own."""
    settings = {}
    with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
        for zone, variable in (
            ("gateway", "GROUNDGLASS_GATEWAY__DATABASE_URL"),
            ("registry", "GROUNDGLASS_DATABASE_URL"),
        ):
            name = sql.Identifier(f"external_{zone}")
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'external'").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
            settings[variable] = f"postgresql://external_{zone}:external@/external_{zone}?host={postgres.folder}"
        yield settings
        for zone in VARIABLES:
            name = sql.Identifier(f"external_{zone}")
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("DROP ROLE {}").format(name))


def test_on_a_postgresql_of_ones_own(tmp_path: Path, external: dict[str, str]) -> None:
    with Stack(tmp_path, external) as stack:
        must_work(stack)
        assert not (stack.data / "postgres").exists()
        stack.restart()
        assert stack.ledger()["total"]["archived"] == 5


def test_on_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        s3.create_bucket(Bucket=BUCKET)
        settings = {
            "GROUNDGLASS_OBJECTS_URL": f"s3://{BUCKET}/archive",
            "GROUNDGLASS_OBJECTS__ENDPOINT": endpoint,
            "GROUNDGLASS_OBJECTS__ACCESS_KEY_ID": "test",
            "GROUNDGLASS_OBJECTS__SECRET_ACCESS_KEY": "test",
        }
        with Stack(tmp_path, settings) as stack:
            must_work(stack)
        listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert sorted(one["Key"].rsplit(".", 1)[-1] for one in listed) == ["gz", "json", "zip"]
        assert not list((tmp_path / "data" / "registry").glob("objects/**/*.zip"))
    finally:
        server.stop()
