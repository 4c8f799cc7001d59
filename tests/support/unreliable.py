"""A proxy before an HTTP server that answers some requests 503 and cuts some off in mid-body."""

from __future__ import annotations

import http.client
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


class Unreliable:
    """Forwards to `target`; the share `failing` of requests gets 503, half of the body, or an answer lost."""

    def __init__(self, target: str, *, seed: int, failing: float) -> None:
        self.failed = 0
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._failing = failing
        self._target = urlsplit(target).netloc
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Unreliable:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fault(self) -> str | None:
        with self._lock:
            if self._random.random() >= self._failing:
                return None
            self.failed += 1
            return self._random.choice(["503", "half", "lost"])

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._target, timeout=20)
        connection.request(method, path, body=body, headers=headers)
        return connection.getresponse()


class _Handler(BaseHTTPRequestHandler):
    proxy: Unreliable
    protocol_version = "HTTP/1.1"

    def do_any(self) -> None:
        fault = self.proxy.fault()
        length = int(self.headers.get("content-length") or 0)
        if fault == "half":
            self.rfile.read(length // 2)
            self._cut()
            return
        body = self.rfile.read(length)
        if fault == "503":
            self._answer(503, {}, b"")
            return
        sent = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
        with self.proxy.forward(self.command, self.path, body, sent) as answer:
            content = answer.read()
        if fault == "lost":
            self._cut()
            return
        kept = {key: value for key, value in answer.getheaders() if key.lower() not in _HOP}
        if self.command == "HEAD":
            kept["Content-Length"] = answer.getheader("content-length") or "0"
        self._answer(answer.status, kept, content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
