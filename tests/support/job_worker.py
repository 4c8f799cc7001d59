"""A worker in a process of its own, and a main module that runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundglass.config import Settings

_TESTS = Path(__file__).parents[1]


class Worker:
    """`groundglass.core.jobs.run_worker` on the test's handlers; `log` is what it and its children wrote."""

    def __init__(
        self, settings: Settings, tmp_path: Path, *, concurrency: int = 2, environment: dict[str, str] | None = None
    ) -> None:
        self._log = (tmp_path / f"worker-{time.monotonic_ns()}.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.job_worker", str(concurrency)],
            env={**os.environ, "PYTHONPATH": str(_TESTS), **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self.process.stdin
        with self.process.stdin as stdin:
            stdin.write(settings.model_dump_json().encode())

    def ready(self) -> Worker:
        """Wait until it accepts work."""
        assert self.process.stdout
        assert self.process.stdout.readline() == b"ready\n", self.log
        return self

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and return its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def close(self) -> None:
        self.kill()
        assert self.process.stdout
        self.process.stdout.close()
        self._log.close()


def until(condition: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Wait until the condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)


if __name__ == "__main__":
    from groundglass.core import logs
    from groundglass.core.jobs import run_worker

    logs.configure("worker")
    sys.exit(
        run_worker(
            Settings.model_validate_json(sys.stdin.read()),
            "registry",
            "support.job_handlers",
            concurrency=int(sys.argv[1]),
            on_ready=lambda: print("ready", flush=True),
        )
    )
