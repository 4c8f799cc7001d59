"""Who read what, in the audit log: once in fifteen minutes for each account and thing (security.md K10)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import psycopg
from starlette.requests import Request

from groundglass.core import audit
from groundglass.core.accounts import Account
from groundglass.registry.search import Series

_WINDOW_SECONDS: Final = 900
_REMEMBERED: Final = 20_000

Key = tuple[int, str, str]


class Reads:
    """What this process has written into the audit log in the current window."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = 0
        self._written: set[Key] = set()

    def unwritten(self, keys: Iterable[Key]) -> list[Key]:
        """Return the keys that this window has no event of."""
        window = int(time.time()) // _WINDOW_SECONDS
        with self._lock:
            if window != self._window or len(self._written) > _REMEMBERED:
                self._window, self._written = window, set()
            return [key for key in keys if key not in self._written]

    def written(self, keys: Iterable[Key]) -> None:
        """Take note of events that are committed."""
        with self._lock:
            self._written.update(keys)


def of_series(request: Request, conn: psycopg.Connection[Any], account: Account, series: Iterable[Series]) -> None:
    """Write that the account reads these series, before it does; ends the transaction."""
    _write(request, conn, account, [("series.read", f"series {one.series_instance_uid}") for one in series])


def of_index(request: Request, conn: psycopg.Connection[Any], account: Account) -> None:
    """Write that the account searches the index; ends the transaction."""
    _write(request, conn, account, [("index.search", "index")])


def refused(request: Request, conn: psycopg.Connection[Any], account: Account) -> None:
    """Write that the account asked for what it may not see. What it named is left out: it may be an original's UID."""
    _write(request, conn, account, [("series.refused", "series")])


def _write(
    request: Request, conn: psycopg.Connection[Any], account: Account, events: Iterable[tuple[str, str]]
) -> None:
    reads: Reads = request.app.state.reads
    new = reads.unwritten((account.id, action, target) for action, target in events)
    if new:
        for _, action, target in new:
            audit.record(conn, by=account.name, action=action, target=target)
        conn.commit()
        reads.written(new)
