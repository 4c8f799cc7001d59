"""The registry's HTTP door alone on a folder: its databases and one web process, for the benches that read from it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from groundglass import config
from groundglass.config import Settings
from groundglass.core import accounts, database

_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Archive:
    """An empty registry on its databases; `owner` may load rows."""

    settings: Settings
    owner: str

    def token(self, role: accounts.Role, centre: str | None = None) -> str:
        """Return a new bearer token."""
        with psycopg.connect(self.owner) as conn:
            return accounts.issue_token(conn, role=role, zone="registry", centre=centre)

    @contextmanager
    def door(self) -> Iterator[int]:
        """Run the process that `serve` runs as `web`; yield its port on loopback."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        ready, told = os.pipe()
        command = [sys.executable, "-m", "groundglass", "role", "web", "--data", str(self.settings.data)]
        command += ["--fd", str(listener.fileno()), "--ready-fd", str(told)]
        process = subprocess.Popen(command, pass_fds=(listener.fileno(), told))
        os.close(told)
        try:
            if not select.select([ready], [], [], _START_SECONDS)[0] or os.read(ready, 1) != b"1":
                raise SystemExit("the web process did not get ready")
            yield listener.getsockname()[1]
        finally:
            os.close(ready)
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            listener.close()


@contextmanager
def archive() -> Iterator[Archive]:
    """Make an empty registry in a temporary folder, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gg-bench-", dir=os.environ.get("GROUNDGLASS_BENCH_DIR")))
    try:
        settings = config.load(folder)
        with database.owned(settings) as server:
            owner = server.conninfo("registry") if server else database.conninfo(settings, "registry")
            yield Archive(settings, owner)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
