"""`groundglass worker`: more hands for a zone, on this machine or another."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from groundglass import config
from groundglass.cli.options import Data
from groundglass.core import jobs, logs
from groundglass.errors import UsageError

_ZONES = {"gateway": "groundglass.gateway.tasks", "registry": "groundglass.registry.tasks"}


def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="Pieces of work at the same time.")] = 2,
    queues: Annotated[str, typer.Option(metavar="gateway|registry", help="Whose work.")] = "registry",
    data: Data = None,
) -> None:
    """Run background work until SIGTERM; any number of machines may."""
    if queues not in _ZONES:
        raise UsageError("--queues is registry or gateway")
    settings = config.load(data)
    logs.configure(f"worker-{queues}")
    zone = "gateway" if queues == "gateway" else "registry"
    sys.exit(jobs.run_worker(settings, zone, _ZONES[queues], concurrency=concurrency, on_ready=lambda: None))  # type: ignore[arg-type]
