"""Run the whole of groundglass as users run it, to test it from outside: processes, ports, signals, files.

with Stack(tmp_path) as stack:
    send(stack, phantom.objects(1, slices=10))
    assert stack.wait_quiet()["total"]["archived"] == 10
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

COMMAND = Path(sys.executable).with_name("groundglass")
ROLES = ("web", "desk", "dimse", "worker-gateway", "worker-registry")
QUICK: Mapping[str, str] = {
    "GROUNDGLASS_GATEWAY__SETTLE_SECONDS": "0.5",
    "GROUNDGLASS_JOBS__HEARTBEAT_SECONDS": "1",
    "GROUNDGLASS_JOBS__STALLED_SECONDS": "3",
    "GROUNDGLASS_JOBS__RECLAIM_SECONDS": "1",
    "GROUNDGLASS_JOBS__SWEEP_SECONDS": "2",
    "GROUNDGLASS_JOBS__RETRY_SECONDS": "0.2",
}
_READY = re.compile(r"^ready (?P<url>\S+) gateway=(?P<gateway>\S+) dicom=(?P<aet>[^@\s]+)@(?P<host>\S+):(?P<port>\d+)$")
_START_SECONDS = 90.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Doors:
    """What the ready line says."""

    url: str
    gateway: str
    aet: str
    host: str
    port: int


class Stack:
    """`groundglass serve` on a folder and free ports, with short times. `data` is DIR, `logs` what it printed.

    Settings are environment variables; those of the caller's own GROUNDGLASS_* are not passed on.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, arguments: tuple[str, ...] = ()):
        self.data = folder / "data"
        self.logs = folder / "logs"
        self.settings = {**QUICK, **(settings or {})}
        self.arguments = arguments
        self.command = COMMAND
        self.doors: Doors | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._seen: set[psutil.Process] = set()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._end_everything()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.stop()
        finally:
            self._end_everything()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command of this stack."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDGLASS_")}
        return {**own, **self.settings}

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self, *, failpoint: str | None = None) -> Self:
        """Start `serve` and return once it has printed its ready line; with a fail point set, every role has it."""
        self.launch(failpoint=failpoint)
        until(self._ready, _START_SECONDS, self._why_not)
        self._remember()
        return self

    def launch(self, *, failpoint: str | None = None) -> None:
        """Start `serve` without waiting."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._starts += 1
        self.doors = None
        environment = self.environment | ({"GROUNDGLASS_FAILPOINT": failpoint} if failpoint else {})
        ports = ("--port", "0", "--gateway-port", "0", "--dicom-port", "0")
        with self._output("stdout").open("wb") as stdout, self._output("stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                [self.command, "serve", "--data", self.data, *ports, *self.arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def stop(self) -> int:
        """SIGTERM, wait for the end, return the exit code. Everything that it started must be gone with it."""
        if self._process is None or self._process.poll() is not None:
            return -1
        self._remember()
        self._process.terminate()
        code = self._process.wait(_STOP_SECONDS)
        until(lambda: not self._survivors(), 15, lambda: f"outlived serve: {self._survivors()}")
        return code

    def restart(self, *, failpoint: str | None = None) -> Self:
        """Start again on the same folder, after a clean stop if it runs."""
        self.stop()
        until(lambda: not self._survivors(), 15, lambda: f"outlived serve: {self._survivors()}")
        return self.start(failpoint=failpoint)

    def kill(self, role: str) -> int:
        """SIGKILL one child by its role (ROLES, or postgres) and return its old process id."""
        pid = self.pid_of(role)
        self._remember()
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_all(self) -> None:
        """SIGKILL the supervisor, as a power cut would, and wait until nothing that it started lives."""
        assert self._process is not None
        self._remember()
        self._process.kill()
        self._process.wait()
        until(lambda: not self._survivors(), 30, lambda: f"outlived their killed supervisor: {self._survivors()}")

    def pid_of(self, role: str) -> int:
        """Return the process id of a role. Waits for one that is being started again."""
        found = until(lambda: self._find(role), 30, lambda: f"no process of role {role}")
        assert isinstance(found, int)
        return found

    def wait_back(self, role: str, old_pid: int, *, seconds: float = 30.0) -> int:
        """Return the process id of a role once it is another than the killed one."""

        def another() -> int | None:
            pid = self._find(role)
            return pid if pid != old_pid else None

        found = until(another, seconds, lambda: f"role {role} did not come back")
        assert isinstance(found, int)
        return found

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of groundglass on this folder (`--data` is added) and return what it did."""
        return subprocess.run(
            [self.command, *arguments, "--data", self.data],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ledger(self) -> dict[str, Any]:
        """Return what `groundglass ledger --json` says."""
        done = self.run("ledger", "--json")
        assert done.returncode == 0, f"ledger: exit {done.returncode}: {done.stderr[-2000:]}"
        return json.loads(done.stdout)

    def token(self, role: str, *, zone: str | None = None, centre: str | None = None) -> str:
        """Return a new bearer token."""
        options = [*(("--zone", zone) if zone else ()), *(("--centre", centre) if centre else ())]
        done = self.run("admin", "token", "--role", role, *options)
        assert done.returncode == 0, f"admin token: exit {done.returncode}: {done.stderr[-2000:]}"
        return done.stdout.strip()

    @contextlib.contextmanager
    def client(
        self, role: str | None, *, zone: str = "registry", centre: str | None = None, token: str | None = None
    ) -> Iterator[httpx.Client]:
        """Yield an HTTP client of the registry's or the gateway's door, with a token of `role` (None: without)."""
        assert self.doors is not None
        secret = token or (self.token(role, zone=zone, centre=centre) if role else None)
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        base = self.doors.url if zone == "registry" else self.doors.gateway
        with httpx.Client(base_url=base, headers=headers, timeout=30, trust_env=False) as client:
            yield client

    def wait_quiet(
        self, received: int | None = None, *, sender: str | None = None, seconds: float = 120.0
    ) -> dict[str, Any]:
        """Return the ledger once nothing is pending and, when given, at least `received` instances are in it.

        With `sender`, only its account counts, and only its account is returned. The waiting reads the ledger in this
        process, because a command takes most of a second to start; what is returned is the command's answer.
        """
        last: dict[str, Any] = {}

        def quiet() -> bool:
            last.update(self._ledger_here() or {})
            account = last.get("senders", {}).get(sender) if sender else last.get("total")
            return bool(account) and account["pending"] == 0 and account["received"] >= (received or 0)

        until(quiet, seconds, lambda: f"not quiet: {last}\n{self._why_not()}", every=0.1)
        ledger = self.ledger()
        return ledger["senders"][sender] if sender else ledger

    def output(self) -> str:
        """Return everything that every start of this stack printed."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.logs.iterdir()))

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the JSON lines of the logs, those of one event name if given."""
        found = []
        for line in self.output().splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and (name is None or record.get("event") == name):
                    found.append(record)
        return found

    def _ledger_here(self) -> dict[str, Any] | None:
        from groundglass.config import Gateway, Registry, Settings
        from groundglass.errors import UnavailableError
        from groundglass.gateway.ledger import ledger

        settings = Settings(
            data=self.data,
            gateway=Gateway(database_url=self.settings.get("GROUNDGLASS_GATEWAY__DATABASE_URL")),
            registry=Registry(database_url=self.settings.get("GROUNDGLASS_DATABASE_URL")),
        )
        with contextlib.suppress(UnavailableError):
            return ledger(settings)
        return None

    def _output(self, stream: str) -> Path:
        return self.logs / f"{self._starts:02}.{stream}"

    def _ready(self) -> bool:
        assert self._process is not None
        for line in self._output("stdout").read_text(errors="replace").splitlines():
            if match := _READY.match(line):
                self.doors = Doors(match["url"], match["gateway"], match["aet"], match["host"], int(match["port"]))
        ended = self._process.poll()
        assert ended is None or self.doors, f"serve ended with {ended}\n{self._why_not()}"
        return self.doors is not None

    def _why_not(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}" for path in self._outputs())

    def _outputs(self) -> list[Path]:
        return [path for path in (self._output("stdout"), self._output("stderr")) if path.exists()]

    def _find(self, role: str) -> int | None:
        if role == "postgres":
            return self._postmaster()
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    argv = child.cmdline()
                    if "role" in argv[:-1] and argv[argv.index("role") + 1] == role:
                        return child.pid
        return None

    def _postmaster(self) -> int | None:
        for folder in (self.data / "postgres", self.data / "postgres" / "data"):
            with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
                pid = int((folder / "postmaster.pid").read_text().split()[0])
                if psutil.Process(pid).ppid() == self.pid:
                    return pid
        return None

    def _remember(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._seen.update(psutil.Process(self.pid).children(recursive=True))

    def _survivors(self) -> list[psutil.Process]:
        alive = []
        for process in self._seen:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(process)
        return alive

    def _end_everything(self) -> None:
        if self._process is None:
            return
        self._remember()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for process in self._survivors():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def until(
    condition: Callable[[], object], seconds: float, explain: Callable[[], str] | None = None, *, every: float = 0.02
) -> object:
    """Return the first true value of `condition`; AssertionError with what `explain` says after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < deadline, explain() if explain else f"not within {seconds} s"
        time.sleep(every)
