"""The job runs where it will run: in a child of a worker, woken by the transaction that received the package."""

from __future__ import annotations

import subprocess
import sys
import time

from support.packages import Registry

PROGRAM = """
import sys
from groundglass.config import Settings
from groundglass.core import jobs

settings = Settings.model_validate_json(sys.argv[1])
sys.exit(jobs.run_worker(settings, "registry", "groundglass.registry.tasks", concurrency=1, on_ready=lambda: None))
"""


def test_a_received_package_is_decided_by_a_worker(registry: Registry):
    refused = registry.send(b"hello")
    command = [sys.executable, "-W", "error", "-c", PROGRAM, registry.settings.model_dump_json()]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as worker:
        deadline = time.monotonic() + 60
        try:
            while registry.receipt(refused) is None or registry.rows("SELECT 1 FROM procrastinate_jobs"):
                assert time.monotonic() < deadline, "no receipt after a minute"
                assert worker.poll() is None
        finally:
            worker.terminate()
            lines = worker.stderr.read().decode()
    assert worker.returncode == 0
    assert registry.receipt(refused)["reasons"] == ["invalid_package"]
    assert '"event":"package-refused"' in lines.replace(" ", "")
    assert "job-failed" not in lines
