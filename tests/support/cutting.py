"""A TCP proxy before an HTTP server which does to single requests what bad networks, and bad people, do."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_HEAD_END = b"\r\n\r\n"
_BLOCK = 4096


@dataclass(slots=True)
class Exchange:
    """One request, and both of its connections; `server` is opened when it is first needed."""

    method: str
    path: str
    head: bytes
    rest: bytes
    client: socket.socket
    connect: Callable[[], socket.socket]
    sent: int = 0

    def relay(self, *, body_limit: int | None = None, answer: bool = True) -> bytes:
        """Pass the request on, up to `body_limit` bytes of its body, then its answer; return the answer."""
        with self.connect() as server:
            server.sendall(self.head)
            length = int((re.search(rb"\r\ncontent-length: *(\d+)", self.head.lower()) or [b"", b"0"])[1])
            self._body(server, length if body_limit is None else min(length, body_limit))
            if body_limit is not None:
                return b""
            got = b""
            while block := server.recv(_BLOCK):
                got += block
                if answer:
                    self.client.sendall(block)
                if _whole(got, self.method):
                    break
            return got

    def say(self, answer: bytes) -> None:
        """Answer in place of the server."""
        self.client.sendall(answer)

    def _body(self, server: socket.socket, length: int) -> None:
        block = self.rest[:length]
        while block or self.sent < length:
            if not block:
                block = self.client.recv(min(_BLOCK, length - self.sent))
                if not block:
                    return
            server.sendall(block)
            self.sent += len(block)
            block = b""


Fault = Callable[[Exchange], object]


@dataclass(slots=True)
class Cutting:
    """Listens on loopback; each request meets the first planned fault of its method, and passes when there is none."""

    target: str = ""
    met: Counter[str] = field(default_factory=Counter)
    _planned: list[tuple[str, str, Fault]] = field(default_factory=list)
    _always: dict[str, Fault] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def plan(self, method: str, path: str, *faults: Fault) -> None:
        """The next requests of this method whose path holds `path` meet these faults, one each."""
        with self._lock:
            self._planned += [(method, path, fault) for fault in faults]

    @contextlib.contextmanager
    def always(self, path: str, fault: Fault) -> Iterator[None]:
        """Every request whose path holds `path` meets this fault."""
        with self._lock:
            self._always[path] = fault
        try:
            yield
        finally:
            with self._lock:
                del self._always[path]

    @property
    def waiting(self) -> int:
        """How many planned faults nobody has met yet."""
        with self._lock:
            return len(self._planned)

    def run(self) -> None:
        """Serve until `close`."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(60)
            received = b""
            while _HEAD_END not in received:
                block = client.recv(_BLOCK)
                if not block:
                    return
                received += block
            head, _, rest = received.partition(_HEAD_END)
            method, path, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
            exchange = Exchange(method, path, head + _HEAD_END, rest, client, self._connect)
            self._fault(exchange)(exchange)

    def _fault(self, exchange: Exchange) -> Fault:
        with self._lock:
            for path, fault in self._always.items():
                if path in exchange.path:
                    self.met[path] += 1
                    return fault
            for at, (method, path, fault) in enumerate(self._planned):
                if method == exchange.method and path in exchange.path:
                    del self._planned[at]
                    return fault
        return Exchange.relay

    def _connect(self) -> socket.socket:
        where = urlsplit(self.target)
        return socket.create_connection((where.hostname or "", where.port or 0), timeout=60)


@contextlib.contextmanager
def cutting() -> Iterator[Cutting]:
    """Give a proxy that runs."""
    proxy = Cutting()
    thread = threading.Thread(target=proxy.run)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()


def cut_after(size: int) -> Fault:
    """The connection is cut after so many bytes of the body."""
    return lambda exchange: exchange.relay(body_limit=size)


def swallowed(exchange: Exchange) -> None:
    """The server does what it is asked, and its answer is lost."""
    exchange.relay(answer=False)


def answered(answer: bytes) -> Fault:
    """Somebody else answers."""
    return lambda exchange: exchange.say(answer)


def page(status: str, body: bytes, kind: str = "text/html") -> bytes:
    """Return an HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def _whole(answer: bytes, method: str) -> bool:
    head, found, body = answer.partition(_HEAD_END)
    if not found:
        return False
    length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
    return method == "HEAD" or len(body) >= int(length[1] if length else 0)
