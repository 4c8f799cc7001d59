"""The children of a worker: started warm, lent to one piece of work at a time, replaced when they die."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from typing import Any

from groundglass.config import Settings
from groundglass.core import logs
from groundglass.core.migrations import Zone

_log = logs.logger("jobs.children")
_LONGEST_LINE = 1 << 20


class ChildDiedError(Exception):
    """The process that did the work is gone; the work may be half done."""


class Child:
    """One process and the socket to it."""

    def __init__(self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._process = process
        self._reader = reader
        self._writer = writer
        self.tasks: tuple[str, ...] = ()

    @classmethod
    async def start(cls, hello: dict[str, Any], *, environment: dict[str, str]) -> Child:
        """Start a process and wait until it has imported its handlers. Raises ChildDiedError.

        To be called in the main thread: a child dies with the thread that started it.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "groundglass.core.jobs.child", str(theirs.fileno()), str(os.getpid())]
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, pass_fds=(theirs.fileno(),)
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        child = cls(process, reader, writer)
        child.tasks = tuple((await child.ask(hello))["tasks"])
        return child

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message and wait for its answer. Raises ChildDiedError, and leaves no process behind then."""
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            await self._writer.drain()
            line = await self._reader.readline()
        except asyncio.CancelledError:
            self.kill()
            raise
        except (OSError, ValueError):
            line = b""
        if not line.endswith(b"\n"):
            self.kill()
            raise ChildDiedError
        answer: dict[str, Any] = json.loads(line)
        return answer

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._writer.close()


class Children:
    """A fixed number of children.

    `tasks` are the names of their handlers. `broken` is set when one that died could not be replaced; none is replaced
    while `closing`.
    """

    def __init__(self, settings: Settings, *, zone: Zone, module: str, size: int) -> None:
        self._hello = {"settings": settings.model_dump(mode="json"), "zone": zone, "module": module}
        self._size = size
        self._all: set[Child] = set()
        self._idle: asyncio.Queue[Child] = asyncio.Queue()
        self._replacing: set[asyncio.Task[None]] = set()
        self.tasks: tuple[str, ...] = ()
        self.broken = asyncio.Event()
        self.closing = False

    async def start(self) -> None:
        """Start all of them; return when all are warm. Raises ChildDiedError."""
        started = await asyncio.gather(
            *(Child.start(self._hello, environment=dict(os.environ)) for _ in range(self._size)), return_exceptions=True
        )
        for child in started:
            if isinstance(child, Child):
                self._lend(child)
        for failed in started:
            if isinstance(failed, BaseException):
                raise failed

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Have an idle child answer. Raises ChildDiedError if it dies over it."""
        child = await self._idle.get()
        try:
            answer = await child.ask(message)
        except BaseException:
            self._all.discard(child)
            if not self.closing:
                self._replace()
            raise
        self._idle.put_nowait(child)
        return answer

    async def stop(self) -> None:
        """End all of them."""
        for task in list(self._replacing):
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        for child in self._all:
            child.kill()

    def _lend(self, child: Child) -> None:
        self._all.add(child)
        self.tasks = child.tasks
        self._idle.put_nowait(child)

    def _replace(self) -> None:
        task = asyncio.create_task(self._start_another())
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _start_another(self) -> None:
        _log.event("child-replaced")
        # A fail point has done its work once it has killed.
        environment = {name: value for name, value in os.environ.items() if name != "GROUNDGLASS_FAILPOINT"}
        try:
            self._lend(await Child.start(self._hello, environment=environment))
        except (ChildDiedError, OSError):
            self.broken.set()
