"""What the children of `serve` run; each tells by its pipe when it accepts work."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass import config
from groundglass.cli.options import Data
from groundglass.config import Settings
from groundglass.core import jobs, logs
from groundglass.errors import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

_GATEWAY_WORKERS = 3
_REGISTRY_WORKERS = 2


def role(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    ready_fd: Annotated[int, typer.Option("--ready-fd")] = -1,
    fd: Annotated[int, typer.Option("--fd", help="The listening socket.")] = -1,
    aet: Annotated[str, typer.Option("--aet")] = "GROUNDGLASS",
    dicom_host: Annotated[str, typer.Option("--dicom-host")] = "127.0.0.1",
    data: Data = None,
) -> None:
    """Run one role of `serve`."""
    settings = config.load(data)
    logs.configure(name)
    told = threading.Event()

    def on_ready() -> None:
        if ready_fd >= 0 and not told.is_set():
            told.set()
            os.write(ready_fd, b"1")
            os.close(ready_fd)

    match name:
        case "web":
            _web(settings, fd, on_ready)
        case "desk":
            _desk(settings, fd, dicom_host, on_ready)
        case "dimse":
            _dimse(settings, fd, aet, on_ready)
        case "worker-gateway":
            status = jobs.run_worker(
                settings, "gateway", "groundglass.gateway.tasks", concurrency=_GATEWAY_WORKERS, on_ready=on_ready
            )
            sys.exit(status)
        case "worker-registry":
            status = jobs.run_worker(
                settings, "registry", "groundglass.registry.tasks", concurrency=_REGISTRY_WORKERS, on_ready=on_ready
            )
            sys.exit(status)
        case _:
            raise UsageError("no such role")


def _web(settings: Settings, fd: int, on_ready: Callable[[], None]) -> None:
    from groundglass.web.app import create_app

    _serve(create_app(settings), settings, fd, on_ready)


def _desk(settings: Settings, fd: int, dicom_host: str, on_ready: Callable[[], None]) -> None:
    from groundglass.gateway.desk.app import create_app

    _serve(create_app(settings, dicom_host=dicom_host), settings, fd, on_ready)


def _serve(app: FastAPI, settings: Settings, fd: int, on_ready: Callable[[], None]) -> None:
    from groundglass.ui import server

    server.serve(
        app,
        fd=fd,
        on_ready=on_ready,
        certificate=settings.web.tls_certificate,
        key=settings.web.tls_key,
        trusted_proxies=settings.web.trusted_proxies,
    )


def _dimse(settings: Settings, fd: int, aet: str, on_ready: Callable[[], None]) -> None:
    from groundglass.gateway import vault
    from groundglass.gateway.dimse import serve_dimse
    from groundglass.gateway.intake import Intake
    from groundglass.gateway.spool import Spool

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    intake = Intake(settings)
    spool = Spool(
        settings.gateway_dir / "spool",
        key=vault.spool_key(settings),
        segment_bytes=settings.gateway.segment_mib << 20,
        high_water_pct=settings.gateway.high_water_pct,
    )
    recorder = threading.Thread(target=intake.run, name="intake")
    recorder.start()
    on_ready()
    try:
        serve_dimse(
            socket.socket(fileno=fd),
            settings=settings.gateway,
            aet=aet,
            spool=spool,
            on_record=intake.on_record,
            on_association=intake.on_association,
            stop=stop,
        )
    finally:
        intake.stop()
        recorder.join()
