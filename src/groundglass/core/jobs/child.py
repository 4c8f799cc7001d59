"""One child of a worker: imports the handlers once, then does one piece of work after the other.

Speaks JSON lines over a socket that it inherits: a codec that crashes or takes all memory takes only this process.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from groundglass.config import Settings
from groundglass.core import logs
from groundglass.core.jobs.port import Context, Handler, Later, Permanent, Sweeper
from groundglass.core.processes import die_with_parent
from groundglass.errors import NoRoomError, UnavailableError

_log = logs.logger("jobs.child")
_AWAY_WAITS = 5  # times retry_seconds
# connection, disk full, too many connections, operator intervention (shutdown, starting up), input or output error
_AWAY_STATES = ("08", "53100", "53300", "57P", "58030")


def main(fd: int, parent: int) -> None:
    """Serve requests until the worker closes the socket."""
    die_with_parent(signal.SIGKILL)  # every handler may die at any point
    if os.getppid() != parent:  # it died before the line above
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the worker decides
    with socket.socket(fileno=fd) as channel, channel.makefile("rwb") as stream:
        start = json.loads(stream.readline())
        logs.configure(f"worker-{start['zone']}")
        context = Context(Settings.model_validate(start["settings"]), start["zone"])
        module = importlib.import_module(start["module"])
        logs.allow(*module.HANDLERS)
        _send(stream, {"tasks": list(module.HANDLERS)})
        for line in stream:
            _send(stream, _answer(context, module.HANDLERS, module.SWEEPERS, json.loads(line)))


def _answer(
    context: Context, handlers: Mapping[str, Handler], sweepers: Sequence[Sweeper], request: dict[str, Any]
) -> dict[str, Any]:
    """Do what is asked; an answer tells classes and codes, never messages."""
    task = request.get("task")
    try:
        if task is None:
            return _sweep(context, sweepers)
        handlers[task](context, **request["ids"])
    except Later as later:
        return {"later": later.seconds}
    except Permanent as permanent:
        _log.failure("job-impossible", permanent, task=task, job=request.get("job"))
        return {"permanent": permanent.code}
    except BaseException as error:  # noqa: BLE001 - whatever it was, the attempt failed and the next job comes
        told = logs.describe(error)
        if is_away(error):
            _log.event("job-waits", task=task, job=request.get("job"))
            return {"later": _AWAY_WAITS * context.settings.jobs.retry_seconds}
        _log.failure("job-failed", error, task=task, job=request.get("job"))
        return {"error": told.get("sqlstate") or told["error"]}
    return {"done": True}


def is_away(error: BaseException) -> bool:
    """Tell whether a store did not answer or is full: no fault of the job, however often it happens."""
    if isinstance(error, psycopg.OperationalError):
        return error.sqlstate is None or error.sqlstate.startswith(_AWAY_STATES)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, UnavailableError | NoRoomError)


def _sweep(context: Context, sweepers: Sequence[Sweeper]) -> dict[str, Any]:
    """Run every sweeper, whatever the others did."""
    failed = 0
    for sweeper in sweepers:
        try:
            sweeper(context)
        except Exception as error:  # noqa: BLE001 - the next sweep tries again
            failed += 1
            _log.failure("sweep-failed", error)
    return {"done": not failed}


def _send(stream: Any, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
