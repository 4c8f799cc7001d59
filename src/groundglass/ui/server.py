"""Serve an application on a listening socket that the parent process opened."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

# Forward secrecy and AEAD only (security.md N1); TLS 1.3 has nothing else. uvicorn's own default is wider.
_TLS_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_GRACE_SECONDS = 10


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
        http="httptools",
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
