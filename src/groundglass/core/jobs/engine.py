"""procrastinate, told how our jobs run and fail."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from groundglass.config import Jobs as JobSettings
from groundglass.core import logs
from groundglass.core.jobs.children import ChildDiedError, Children

_log = logs.logger("jobs.engine")
_POOL_SECONDS = 5.0  # after it the database is away, and the worker ends


class _AgainError(Exception):
    """To be tried again in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class _HeldError(Exception):
    """Not to be tried again."""


class _Strategy(BaseRetryStrategy):
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002
        if isinstance(exception, _HeldError):
            return None
        # anything else is an interruption of ours, such as the end of a worker
        seconds = exception.seconds if isinstance(exception, _AgainError) else 0.0
        return RetryDecision(retry_at=datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds))


class _Manager(JobManager):
    """Puts a job back even where one with its queueing lock waits, and wakes the workers when its time has come.

    `lost` is set when the end of a job could not be written down: the job stays `doing` of a worker that lives, which
    nothing would ever take up again, so the worker has to end.
    """

    def __init__(self, connector: PsycopgConnector) -> None:
        super().__init__(connector)
        self.lost = asyncio.Event()

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        with self._noticing():
            await super().finish_job(job, status, delete_job)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime.datetime | None = None,
        priority: int | None = None,  # noqa: ARG002
        queue: str | None = None,  # noqa: ARG002
        lock: str | None = None,  # noqa: ARG002
    ) -> None:
        at = retry_at or datetime.datetime.now(datetime.UTC)
        with self._noticing():
            await self.connector.execute_query_async("SELECT job_retry(%(id)s, %(at)s)", id=job.id, at=at)
        seconds = (at - datetime.datetime.now(datetime.UTC)).total_seconds()
        asyncio.get_running_loop().call_later(max(0.0, seconds), self._wake_soon)

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.lost.set()
            raise

    def _wake_soon(self) -> None:
        task = asyncio.ensure_future(self._wake())
        _waking.add(task)
        task.add_done_callback(_waking.discard)

    async def _wake(self) -> None:
        try:
            await self.connector.execute_query_async("SELECT job_wake()")
        except Exception as error:  # noqa: BLE001 - the next poll finds the job; the loss of the database shows elsewhere
            _log.failure("wake-failed", error)


_waking: set[asyncio.Future[None]] = set()


def make_app(conninfo: str, children: Children, settings: JobSettings, *, size: int) -> tuple[App, asyncio.Event]:
    """Return the engine, with one task for each handler of the children, and the event that it must be ended.

    Whoever opens it closes it.
    """
    connector = PsycopgConnector(conninfo=conninfo, min_size=2, max_size=size, timeout=_POOL_SECONDS)
    app, manager = App(connector=connector), _Manager(connector)
    app.job_manager = manager
    logs.allow(*children.tasks)
    for name in children.tasks:
        run = _runner(app, children, name, settings)
        app.task(name=name, pass_context=True, retry=_Strategy())(run)
    return app, manager.lost


async def reclaim(app: App, settings: JobSettings) -> None:
    """Take up the jobs of workers that are gone."""
    rows = await app.connector.execute_query_all_async(
        "SELECT job_id, is_held FROM job_reclaim(%(seconds)s, %(limit)s)",
        seconds=settings.stalled_seconds,
        limit=settings.max_attempts,
    )
    for row in rows:
        _log.event("job-reclaimed", job=row["job_id"], held=row["is_held"])


def _runner(app: App, children: Children, name: str, settings: JobSettings) -> Callable[..., Coroutine[Any, Any, None]]:
    async def run(context: JobContext, **ids: Any) -> None:
        try:
            answer = await children.ask({"task": name, "ids": ids, "job": context.job.id})
        except ChildDiedError:
            answer = {"error": "ChildDied"}
        if "done" in answer:
            return
        if "later" in answer:
            raise _AgainError(float(answer["later"]))
        error = str(answer.get("permanent") or answer["error"])
        failures = await _count(app, context, error)
        held = "permanent" in answer or failures >= settings.max_attempts
        _log.event("job-attempt-failed", task=name, job=context.job.id, failures=failures, held=held)
        raise _HeldError if held else _AgainError(settings.retry_seconds * 2 ** (failures - 1))

    return run


async def _count(app: App, context: JobContext, error: str) -> int:
    row = await app.connector.execute_query_one_async(
        "SELECT job_count_failure(%(id)s, %(error)s) AS failures", id=context.job.id, error=error
    )
    return int(row["failures"])
