"""`groundglass serve`: every role in one process tree."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Annotated

import psycopg
import typer

from groundglass import config
from groundglass.cli.options import Data
from groundglass.config import Settings
from groundglass.core import accounts, database, doors, logs
from groundglass.core.postgres import Postgres
from groundglass.core.secretfiles import write_secret
from groundglass.core.supervisor import Role, Supervisor
from groundglass.errors import NotSignedInError, UnavailableError, UsageError
from groundglass.registry import collections, receipts

_READY_SECONDS = 120.0
_TEND_SECONDS = 0.05
_log = logs.logger("cli.serve")


def serve(
    data: Data = None,
    demo: Annotated[bool, typer.Option("--demo", help="Fill it with synthetic centres and cases.")] = False,
    host: Annotated[str, typer.Option(metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    gateway_port: Annotated[int, typer.Option(min=0, max=65535)] = 8090,
    dicom_port: Annotated[int, typer.Option(min=0, max=65535)] = 11112,
    dicom_host: Annotated[str | None, typer.Option(metavar="HOST", help="Default: 127.0.0.1.")] = None,
    aet: Annotated[str, typer.Option(help="Our AE title.")] = "GROUNDGLASS",
) -> None:
    """Run registry, gateway and DICOM door on one folder; SIGTERM or Ctrl-C ends cleanly."""
    settings = config.load(data)
    if not accounts.is_aet(aet):
        raise UsageError("--aet has 1 to 16 printable characters and no backslash: nobody could call another")
    logs.configure("serve")
    dicom_address = dicom_host or "127.0.0.1"
    doors.check_http(host, settings)
    doors.check_dicom(dicom_address, settings)
    stopped = _stop_on_signal()
    listeners = {
        "web": doors.listen(host, port),
        "desk": doors.listen(host, gateway_port),
        "dimse": doors.listen(dicom_address, dicom_port),
    }
    with database.owned(settings) as server:
        _first_start(settings)
        scheme = "https" if settings.web.tls_certificate else "http"
        urls = {name: f"{scheme}://{_named(listeners[name])}" for name in ("web", "desk")}
        supervisor = Supervisor(_roles(settings, listeners, aet), _environment(settings, urls["web"]))
        supervisor.start()
        try:
            supervisor.wait_ready(stopped.__bool__, seconds=_READY_SECONDS)
            if not stopped:
                dicom = f"{aet}@{_named(listeners['dimse'])}"
                print(f"ready {urls['web']} gateway={urls['desk']} dicom={dicom}", flush=True)  # noqa: T201
            if demo and not stopped:
                _fill(listeners["dimse"], aet)
            _tend(supervisor, server, stopped)
        finally:
            supervisor.stop()


class _Stopped:
    """Set by a signal."""

    def __init__(self) -> None:
        self._set = False

    def __bool__(self) -> bool:
        return self._set

    def set(self, _signum: int, _frame: FrameType | None) -> None:
        """Take note; the loops look."""
        self._set = True


def _stop_on_signal() -> _Stopped:
    stopped = _Stopped()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stopped.set)
    return stopped


def _tend(supervisor: Supervisor, server: Postgres | None, stopped: _Stopped) -> None:
    while not stopped:
        supervisor.tend()
        if server and server.pid is None:
            _log.event("postgres-ended")
            try:
                server.start()
            except UnavailableError:
                _log.event("postgres-not-back")
        time.sleep(_TEND_SECONDS)


def _roles(settings: Settings, listeners: Mapping[str, socket.socket], aet: str) -> list[Role]:
    data = ("--data", str(settings.data))
    dicom_host = str(listeners["dimse"].getsockname()[0])
    doors_first = [
        Role(
            name,
            (*data, "--fd", str(listeners[name].fileno()), "--aet", aet, "--dicom-host", dicom_host),
            (listeners[name].fileno(),),
        )
        for name in ("dimse", "desk", "web")
    ]
    return [*doors_first, Role("worker-gateway", data), Role("worker-registry", data)]


def _environment(settings: Settings, registry_url: str) -> dict[str, str]:
    """Return the children's environment: ours without secrets of the first start, with the local enrolment."""
    environment = {name: value for name, value in os.environ.items() if name != "GROUNDGLASS_ADMIN_PASSWORD"}
    if settings.gateway.registry_url is None:
        secrets = settings.gateway_dir / "secrets"
        environment |= {
            "GROUNDGLASS_GATEWAY__REGISTRY_URL": registry_url,
            "GROUNDGLASS_GATEWAY__REGISTRY_TOKEN_FILE": str(secrets / "registry-token"),
            "GROUNDGLASS_GATEWAY__REGISTRY_KEY_FILE": str(secrets / "registry.pub"),
        }
    return environment


def _first_start(settings: Settings) -> None:
    """Make the administrators and enrol this machine's gateway with its registry, where that is not done."""
    given = os.environ.get("GROUNDGLASS_ADMIN_PASSWORD")
    password = given
    for zone in database.ZONES:
        with database.connect(settings, zone) as connection:
            made = accounts.ensure_admin(connection, password)
        if made:
            password = made  # one administrator, the same password at both doors
            print(f"administrator: admin, password (shown this once): {made}", file=sys.stderr, flush=True)  # noqa: T201
    if settings.gateway.registry_url is None:
        _enrol(settings)


def _enrol(settings: Settings) -> None:
    secrets = settings.gateway_dir / "secrets"
    with database.connect(settings, "registry") as connection:
        if not _token_works(connection, secrets / "registry-token"):
            token = accounts.issue_token(connection, role="gateway", zone="registry", name="local-gateway", days=365)
            write_secret(secrets / "registry-token", token.encode())
        collections.ensure(connection, settings.gateway.collection)
    write_secret(secrets / "registry.pub", receipts.public_key(settings).hex().encode())


def _token_works(connection: psycopg.Connection, path: Path) -> bool:
    try:
        accounts.by_token(connection, path.read_text(encoding="ascii"))
    except (FileNotFoundError, NotSignedInError):
        return False
    return True


def _named(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _fill(listener: socket.socket, aet: str) -> None:
    from groundglass.demo import fill

    fill.start(listener.getsockname()[:2], aet)
