"""A worker: fetches jobs, lends them to children, shows that it lives, takes up what dead workers left."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from procrastinate import App

from groundglass.config import Settings
from groundglass.core import database, logs
from groundglass.core.jobs.children import ChildDiedError, Children
from groundglass.core.jobs.engine import make_app, reclaim
from groundglass.core.migrations import Zone

_log = logs.logger("jobs.worker")
_POLL_SECONDS = 1.0  # LISTEN tells of new jobs at once; this finds what it missed
_GRACE_SECONDS = 10.0


def run_worker(
    settings: Settings,
    zone: Zone,
    module: str,
    *,
    concurrency: int,
    on_ready: Callable[[], None],
) -> int:
    """Work until SIGTERM or SIGINT; return the exit status: 0 after one of them, 1 when it must be started again.

    `module` (dotted path) exposes HANDLERS, by task name, and SWEEPERS; only children import it. Blocks; call it in the
    main thread. `on_ready` is called once every child is warm and the database has answered.
    """
    try:
        return asyncio.run(_Worker(settings, zone, module, concurrency).run(on_ready))
    except Exception as error:  # noqa: BLE001 - whatever it was: the supervisor starts another
        _log.failure("worker-ended", error)
        return 1


class _Worker:
    def __init__(self, settings: Settings, zone: Zone, module: str, concurrency: int) -> None:
        self._settings = settings
        self._zone = zone
        self._module = module
        self._concurrency = concurrency

    async def run(self, on_ready: Callable[[], None]) -> int:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        children = Children(self._settings, zone=self._zone, module=self._module, size=self._concurrency)
        conninfo = database.conninfo(self._settings, self._zone)
        try:
            await _first(stop.wait(), children.start())
            if stop.is_set():
                return 0
            app, lost = make_app(conninfo, children, self._settings.jobs, size=self._concurrency + 3)
            async with app.open_async():
                on_ready()
                return await self._work(app, children, stop, lost)
        finally:
            await children.stop()

    async def _work(self, app: App, children: Children, stop: asyncio.Event, lost: asyncio.Event) -> int:
        """Run until asked to stop (0) or until a part ends by itself: pruned, database gone, children broken (1)."""
        jobs = self._settings.jobs
        engine = app.run_worker_async(
            concurrency=self._concurrency,
            fetch_job_polling_interval=_POLL_SECONDS,
            shutdown_graceful_timeout=_GRACE_SECONDS,
            delete_jobs="successful",
            install_signal_handlers=False,
            update_heartbeat_interval=jobs.heartbeat_seconds,
            stalled_worker_timeout=jobs.stalled_seconds,
        )
        await _first(
            _until(stop, children),
            children.broken.wait(),
            lost.wait(),
            engine,
            _every(jobs.reclaim_seconds, lambda: reclaim(app, jobs)),
            _every(jobs.sweep_seconds, lambda: _sweep(children)),
        )
        return 0 if stop.is_set() else 1


async def _until(stop: asyncio.Event, children: Children) -> None:
    await stop.wait()
    children.closing = True


async def _sweep(children: Children) -> None:
    try:
        await children.ask({"sweep": True})
    except ChildDiedError:
        _log.event("sweep-died")


async def _every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    while True:
        await act()
        await asyncio.sleep(seconds)


async def _first(*parts: Coroutine[Any, Any, Any]) -> None:
    """Run the parts until one ends, then end the others and wait for them; raise what the first one raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
