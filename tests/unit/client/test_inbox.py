"""The client of the inbox: bytes arrive whole, refusals are named by their slug, silence is not an answer."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from groundglass.client.inbox import Inbox, InboxRefusedError
from groundglass.errors import NoRoomError, UnavailableError


class Registry(BaseHTTPRequestHandler):
    """Answers as told by the path's last part, and keeps what was put."""

    protocol_version = "HTTP/1.1"
    seen: dict[str, Any]
    answer: tuple[int, bytes]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen = {"path": self.path, "headers": dict(self.headers), "sha256": hashlib.sha256(body).hexdigest()}
        self._reply()

    def do_GET(self) -> None:
        self._reply()

    def do_HEAD(self) -> None:
        self._reply()

    def _reply(self) -> None:
        status, body = type(self).answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[tuple[Inbox, type[Registry]]]:
    kind = type("One", (Registry,), {"answer": (200, b""), "seen": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Inbox(f"http://127.0.0.1:{server.server_port}", "gg_token"), kind
    server.shutdown()
    thread.join()
    server.server_close()


def put(inbox: Inbox, path: Path) -> None:
    inbox.put("00" * 32, path, collection="fidac", centre="NORD", profile="p/1")


def test_the_package_arrives_whole(registry: tuple[Inbox, type[Registry]], tmp_path: Path) -> None:
    inbox, kind = registry
    package = tmp_path / "package.zip"
    package.write_bytes(bytes(range(256)) * 20_000)
    kind.answer = (202, b"")
    put(inbox, package)
    assert kind.seen["sha256"] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert kind.seen["path"] == "/api/v1/inbox/packages/" + "00" * 32
    assert kind.seen["headers"]["Authorization"] == "Bearer gg_token"
    assert kind.seen["headers"]["Groundglass-Centre"] == "NORD"


def test_answers(registry: tuple[Inbox, type[Registry]], tmp_path: Path) -> None:
    inbox, kind = registry
    package = tmp_path / "package.zip"
    package.write_bytes(b"x")
    kind.answer = (200, b"")
    assert inbox.has("00" * 32)
    kind.answer = (404, b"")
    assert not inbox.has("00" * 32)
    kind.answer = (202, b"")
    assert inbox.receipt("00" * 32) is None
    kind.answer = (200, b'{"receipt": {}}')
    assert inbox.receipt("00" * 32) == {"receipt": {}}
    kind.answer = (200, b"[" * 500_000)
    with pytest.raises(ValueError, match="nested"):
        inbox.receipt("00" * 32)
    kind.answer = (507, b"")
    with pytest.raises(NoRoomError):
        put(inbox, package)
    kind.answer = (422, json.dumps({"type": "/problems/unprocessable", "detail": "DUPONT"}).encode())
    with pytest.raises(InboxRefusedError, match="unprocessable") as caught:
        put(inbox, package)
    assert "DUPONT" not in str(caught.value)


def test_silence_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Inbox("http://127.0.0.1:1", "gg_token").has("00" * 32)
