"""The children of `serve`: started once, started again when they die, ended together."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundglass.core import logs
from groundglass.core.processes import tied_to_parent
from groundglass.errors import UnavailableError

_log = logs.logger("core.supervisor")
_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 5.0
_STEADY_SECONDS = 30.0  # a child that lived this long starts again without delay
_GRACE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Role:
    """A child: its name, the arguments of its command, and the sockets that it inherits."""

    name: str
    arguments: tuple[str, ...] = ()
    fds: tuple[int, ...] = ()


class _Child:
    def __init__(self, role: Role, environment: Mapping[str, str]) -> None:
        self.role = role
        self._environment = dict(environment)
        self._delay = _FIRST_DELAY_SECONDS
        self._ready_fd = -1
        self.next_start = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it tells by a pipe when it accepts work."""
        self._close_ready()
        self._ready_fd, writer = os.pipe()
        self._started = time.monotonic()
        command = [sys.executable, "-m", "groundglass", "role", self.role.name, "--ready-fd", str(writer)]
        # A child dies with us at once, however we die: everything that it acknowledged is on disk.
        self.process = subprocess.Popen(
            [*command, *self.role.arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            pass_fds=(writer, *self.role.fds),
            start_new_session=True,
            preexec_fn=tied_to_parent(signal.SIGKILL),
        )
        os.close(writer)
        # A fail point has done its work once it has killed.
        self._environment = {
            name: value for name, value in self._environment.items() if name != "GROUNDGLASS_FAILPOINT"
        }

    def ready(self) -> bool:
        """Whether the child has said that it accepts work."""
        if self._ready_fd < 0:
            return True
        readable, _, _ = select.select([self._ready_fd], [], [], 0)
        if not readable or not os.read(self._ready_fd, 1):
            return False
        self._close_ready()
        return True

    def dead(self) -> bool:
        """Whether the process has ended; plans its next start the first time it is seen."""
        if self.process is None:
            return True
        if self.process.poll() is None:
            return False
        _log.event("child-ended", role=self.role.name, status=self.process.returncode)
        lived = time.monotonic() - self._started
        self._delay = _FIRST_DELAY_SECONDS if lived > _STEADY_SECONDS else min(self._delay * 2, _LONGEST_DELAY_SECONDS)
        self.next_start = time.monotonic() + self._delay
        self.process = None
        return True

    def end(self, deadline: float) -> None:
        """Wait until the deadline for the process to end, then kill it."""
        if self.process:
            try:
                self.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._close_ready()

    def _close_ready(self) -> None:
        if self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1


class Supervisor:
    """Runs roles as children of the calling thread, which must be the main one (children die with their thread)."""

    def __init__(self, roles: Sequence[Role], environment: Mapping[str, str]) -> None:
        logs.allow(*(role.name for role in roles))
        self._children = [_Child(role, environment) for role in roles]

    def start(self) -> None:
        """Start every role."""
        for child in self._children:
            child.start()

    def wait_ready(self, stopped: Callable[[], bool], *, seconds: float) -> None:
        """Return once every role accepts work, or when `stopped`. Raises UnavailableError after `seconds`."""
        deadline = time.monotonic() + seconds
        waiting = list(self._children)
        while waiting and not stopped():
            self.tend()
            waiting = [child for child in waiting if not child.ready()]
            if time.monotonic() > deadline:
                names = ", ".join(child.role.name for child in waiting)
                raise UnavailableError(f"not ready after {seconds:.0f} s: {names}")
            time.sleep(0.01)

    def tend(self) -> None:
        """Start again what has died."""
        for child in self._children:
            if child.dead() and time.monotonic() >= child.next_start:
                child.start()

    def stop(self) -> None:
        """End the roles in their order: what takes work in goes first."""
        deadline = time.monotonic() + _GRACE_SECONDS
        for child in self._children:
            if child.process:
                child.process.terminate()
        for child in self._children:
            child.end(deadline)
