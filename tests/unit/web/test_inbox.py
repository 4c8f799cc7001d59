"""What the inbox reads of a request, and when it stops (the contract is in tests/contract/test_inbox_http.py)."""

from __future__ import annotations

import errno
import hashlib
import io
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from groundglass.config import Settings
from groundglass.registry import inspection
from groundglass.web.api import inbox
from support import pages as sample
from support.packages import Registry, packed
from support.serving import serving

BASE = "/api/v1/inbox"
DATA = packed([1, 2])
HEADERS = {"Groundglass-Collection": "fidac", "Groundglass-Profile": "fidac-anonyme/1"}


@dataclass(frozen=True, slots=True)
class Door:
    """The inbox as the gateway of NORTH reaches it."""

    registry: Registry
    url: str
    http: httpx.Client

    def put(self, data: bytes, *, sha256: str | None = None, **headers: str) -> httpx.Response:
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        return self.http.put(f"{BASE}/packages/{sha256}", content=data, headers=HEADERS | headers)

    def decide(self, data: bytes) -> dict:
        return self.registry.decide(hashlib.sha256(data).hexdigest())

    def talk(self, text: str, *, token: bool = True) -> bytes:
        """Send a request as it stands and return the first bytes of the answer, without sending more."""
        bearer = f"Authorization: {self.http.headers['authorization']}\r\n" if token else ""
        with socket.create_connection(urlsplit(self.url).netloc.split(":"), timeout=20) as connection:
            connection.sendall(text.replace("\n", "\r\n").replace("BEARER\r\n", bearer).encode())
            return connection.recv(12)


@pytest.fixture
def door(settings: Settings, registry_db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr(inspection.verify, "check", lambda head, size, *, seeds=(): ())
    bearer = sample.bearer(registry_db, "gateway", centre="NORTH")
    with (
        serving(sample.APPS["registry"](settings)) as url,
        httpx.Client(base_url=url, headers=bearer, timeout=30, trust_env=False) as http,
    ):
        yield Door(Registry(settings, registry_db), url, http)


def path_of(data: bytes) -> str:
    return f"{BASE}/packages/{hashlib.sha256(data).hexdigest()}"


def test_a_large_package_arrives_in_pieces_and_whole(door: Door):
    data = bytes(range(256)) * 20_000
    assert door.put(data).status_code == 202
    (path,) = door.registry.waiting()
    assert path.read_bytes() == data


@pytest.mark.parametrize("archived", [False, True])
def test_a_repeat_is_answered_before_it_is_read(door: Door, archived: bool):
    door.put(DATA)
    if archived:
        door.decide(DATA)
    lines = "".join(f"{name}: {text}\n" for name, text in HEADERS.items())
    said = door.talk(f"PUT {path_of(DATA)} HTTP/1.1\nHost: x\nBEARER\n{lines}Content-Length: {len(DATA)}\n\n")
    assert said == b"HTTP/1.1 202"
    assert door.put(DATA).status_code == 202
    assert len(door.registry.rows("SELECT 1 FROM inbox")) == 1


def test_a_disk_without_room_is_told_before_and_while_it_fills(door: Door, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=len(DATA) - 1))
        assert door.put(DATA).status_code == 507

    class Full(io.RawIOBase):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(inbox.Path, "open", lambda *args, **options: Full())
        assert door.put(DATA).status_code == 507
    assert door.registry.waiting() == []
    assert door.put(DATA).status_code == 202


@pytest.mark.parametrize("path", [f"{BASE}/ledger", path_of(DATA)])
def test_nothing_is_read_of_who_has_no_token(door: Door, path: str):
    assert door.talk(f"PUT {path} HTTP/1.1\nHost: x\nContent-Length: 1000000000\n\n", token=False) == b"HTTP/1.1 401"
