"""A whole groundglass on a temporary folder, started and asked as a user would."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_READY = re.compile(r"ready (\S+) gateway=(\S+) dicom=(\S+)@([\d.]+):(\d+)")


@dataclass(frozen=True, slots=True)
class Installation:
    """What `serve` said when it was ready, and how long that took."""

    data: Path
    url: str
    dicom_port: int
    aet: str
    ready_seconds: float
    pid: int

    def command(self, *arguments: str) -> str:
        """Run `groundglass` on this folder; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "groundglass", *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def get(self, path: str, token: str) -> Any:
        """Return the JSON of a GET, None for 204."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
        return json.loads(body) if body else None


@contextmanager
def running(data: Path | None = None) -> Iterator[Installation]:
    """Start `serve` on free ports; end it and remove its folder at the end."""
    folder = data or Path(tempfile.mkdtemp(prefix="gg-bench-", dir=os.environ.get("GROUNDGLASS_BENCH_DIR")))
    command = [sys.executable, "-m", "groundglass", "serve", "--data", str(folder)]
    command += ["--port", "0", "--gateway-port", "0", "--dicom-port", "0"]
    begin = time.perf_counter()
    errors = (folder.parent / f"{folder.name}.err").open("wb")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout
        found = _READY.match(process.stdout.readline())
        if not found:
            raise SystemExit("serve did not get ready: " + Path(errors.name).read_text()[-2000:])
        seconds = time.perf_counter() - begin
        yield Installation(folder, found[1], int(found[5]), found[3], seconds, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        errors.close()
        Path(errors.name).unlink()
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)
