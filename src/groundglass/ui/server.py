"""Serve an application on a listening socket that the parent process opened."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Forward secrecy and AEAD only (security.md N1); TLS 1.3 has nothing else. uvicorn's own default is wider.
_TLS_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_GRACE_SECONDS = 10
_HEAD_BYTES = 64 << 10
_CLOCK_SECONDS = 30.0
_FLOOR_BYTES_PER_SECOND = 1024


class _Protocol(HttpToolsProtocol):
    """uvicorn's own, with an end to what has none there: heads and trailers, and requests that do not come.

    A head is whole within 30 s and 64 KiB (and what one read brings more); a body comes at 1 KiB/s or is cut.
    """

    _bare = 0  # bytes of neither a whole head nor a body
    _got = 0  # bytes of the body since the clock was set
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._bare += len(data)
        super().data_received(data)
        if self._bare > _HEAD_BYTES and not self.transport.is_closing():
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_clock()

    def on_headers_complete(self) -> None:
        self._bare = 0
        self._start_clock()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bare = 0
        self._got += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._bare = 0
        self._stop_clock()
        super().on_message_complete()

    def _start_clock(self) -> None:
        self._stop_clock()
        self._got = 0
        self._clock = self.loop.call_later(_CLOCK_SECONDS, self._ring)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _ring(self) -> None:
        if self.flow.read_paused or self._got >= _FLOOR_BYTES_PER_SECOND * _CLOCK_SECONDS:
            self._start_clock()  # we are the slow ones, or it comes fast enough
        else:
            self.transport.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


def serve(
    app: FastAPI,
    *,
    fd: int,
    on_ready: Callable[[], None],
    certificate: Path | None = None,
    key: Path | None = None,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Answer HTTP on the inherited socket `fd` until SIGTERM or SIGINT, then finish what is under way and return.

    `on_ready` is called once, when connections are accepted. With a certificate the door speaks TLS only.
    `X-Forwarded-*` counts only when it comes from `trusted_proxies` (addresses or networks).
    No access log is written: query strings carry pseudonyms.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ciphers=_TLS_CIPHERS,
    )
    # uvicorn raises the signal again once it has stopped; a clean stop must end the process with 0, not by the signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _Server(config, on_ready).run(sockets=[socket.socket(fileno=fd)])
