"""From durable records to settled series: the rows that say which instances of the spool belong together."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import psycopg

from groundglass.config import Settings
from groundglass.core import accounts, audit, jobs, logs
from groundglass.core.database import connect
from groundglass.core.failpoint import failpoint
from groundglass.errors import UnavailableError
from groundglass.gateway import spool
from groundglass.gateway.spool import Record

_log = logs.logger("gateway.intake")
_TICK_SECONDS = 0.1
_CLOSED_SECONDS = 1.0  # DESIGN, settled questions: the wait once no association feeds the series any more
_RETRY_SECONDS = 0.5


@dataclass(slots=True)
class _Open:
    """A series that may still grow."""

    last: float
    feeders: set[int] = field(default_factory=set)


class Intake:
    """Registers records in the gateway's database and settles series. One thread; the receiver only queues."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.gateway_dir / "spool"
        self._events: queue.SimpleQueue[Record | tuple[int, bool]] = queue.SimpleQueue()
        self._durable: dict[int, int] = {}  # segment -> bytes known to be on disk, not yet registered
        self._open: dict[bytes, _Open] = {}
        self._associations: set[int] = set()
        self._stop = threading.Event()

    def on_record(self, record: Record) -> None:
        """Take note of a record on disk; called by the receiver's threads."""
        self._events.put(record)

    def on_association(self, number: int, opened: bool) -> None:
        """Take note that an association began or ended."""
        self._events.put((number, opened))

    def stop(self) -> None:
        """Register what is on disk, then end `run`."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`, reconnecting when the database was away: the spool holds what is acknowledged."""
        fresh = True
        while True:
            try:
                with connect(self._settings, "gateway") as connection:
                    if fresh:
                        self._recover(connection)
                        fresh = False
                    self._work(connection)
                    return
            except (UnavailableError, psycopg.Error):
                if self._stop.is_set():
                    return
                _log.event("database-away")
                fresh = True
                self._stop.wait(_RETRY_SECONDS)

    def _work(self, connection: psycopg.Connection) -> None:
        while not self._stop.wait(_TICK_SECONDS):  # one transaction a tick, however many records come
            self._drain()
            self._register(connection)
            self._settle(connection)
        self._drain()
        self._register(connection)

    def _drain(self) -> None:
        """Take the queued events."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._note(self._events.get_nowait())

    def _note(self, event: Record | tuple[int, bool]) -> None:
        if isinstance(event, Record):
            self._durable[event.segment] = max(event.end, self._durable.get(event.segment, 0))
            series = self._open.setdefault(event.series_token, _Open(0.0))
            series.last = time.monotonic()
            series.feeders.add(event.association)
        else:
            number, opened = event
            (self._associations.add if opened else self._associations.discard)(number)

    def _recover(self, connection: psycopg.Connection) -> None:
        """Register what the spool holds from before, and let its series settle."""
        for segment in spool.segments(self._folder):
            self._register_segment(connection, segment, None)
        rows = connection.execute("SELECT DISTINCT series_token FROM intake_part WHERE intake_id IS NULL").fetchall()
        connection.commit()
        for (token,) in rows:
            self._open.setdefault(bytes(token), _Open(time.monotonic()))

    def _register(self, connection: psycopg.Connection) -> None:
        for segment, end in list(self._durable.items()):
            self._register_segment(connection, segment, end)
            if self._durable.get(segment) == end:
                del self._durable[segment]

    def _register_segment(self, connection: psycopg.Connection, segment: int, end: int | None) -> None:
        """Put a segment's records up to `end` (None: all of them) into `intake_part`, in one transaction."""
        with connection.transaction():
            connection.execute("INSERT INTO segment (id) VALUES (%s) ON CONFLICT DO NOTHING", (segment,))
            row = connection.execute("SELECT registered FROM segment WHERE id = %s FOR UPDATE", (segment,)).fetchone()
            start = row[0] if row else 0
            try:
                records = _up_to(spool.scan(self._folder, segment, start), end)
            except FileNotFoundError:  # all of it was registered, done with and removed meanwhile
                return
            if not records:
                return
            self._insert_parts(connection, segment, records)
            connection.execute("UPDATE segment SET registered = %s WHERE id = %s", (records[-1].end, segment))

    def _insert_parts(self, connection: psycopg.Connection, segment: int, records: list[Record]) -> None:
        groups: defaultdict[tuple[bytes, str], list[Record]] = defaultdict(list)
        for record in records:
            groups[record.series_token, record.sender].append(record)
        for (token, sender), members in groups.items():
            connection.execute(
                "INSERT INTO intake_part (series_token, sender, centre, segment, n, offsets, lengths)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (
                    *(token, sender, self._centre(connection, sender), segment, len(members)),
                    [member.offset for member in members],
                    [member.length for member in members],
                ),
            )

    def _centre(self, connection: psycopg.Connection, sender: str) -> str:
        centre = accounts.centre_of_aet(connection, sender, self._settings.gateway.allowed_aets)
        return centre or self._settings.gateway.centre

    def _settle(self, connection: psycopg.Connection) -> None:
        now = time.monotonic()
        for token, series in list(self._open.items()):
            if now >= self._due(series):
                settle(connection, token, collection=self._settings.gateway.collection)
                del self._open[token]

    def _due(self, series: _Open) -> float:
        wait = self._settings.gateway.settle_seconds
        if not series.feeders & self._associations:
            wait = min(wait, _CLOSED_SECONDS)
        return series.last + wait


def settle(connection: psycopg.Connection, series_token: bytes, *, collection: str) -> None:
    """Turn a series' waiting parts into intakes, one per centre, each with its job, in one transaction."""
    with connection.transaction():
        centres = connection.execute(
            "SELECT DISTINCT centre FROM intake_part WHERE series_token = %s AND intake_id IS NULL", (series_token,)
        ).fetchall()
        for (centre,) in centres:
            row = connection.execute(
                "INSERT INTO intake (series_token, collection, centre) VALUES (%s, %s, %s) RETURNING id",
                (series_token, collection, centre),
            ).fetchone()
            assert row
            connection.execute(
                "UPDATE intake_part SET intake_id = %s WHERE series_token = %s AND centre = %s AND intake_id IS NULL",
                (row[0], series_token, centre),
            )
            audit.record(connection, by="gateway", action="intake.settle", target=f"intake:{row[0]}")
            defer_process(connection, row[0], series_token)
        failpoint("settled")


def defer_process(connection: psycopg.Connection, intake_id: int, series_token: bytes) -> None:
    """Ask for an intake to be processed; the intakes of one series go one after the other."""
    jobs.defer(
        connection,
        "gateway.process",
        queue="gateway",
        lock=series_token.hex()[:32],
        queueing_lock=f"process:{intake_id}",
        intake_id=intake_id,
    )


def _up_to(records: Iterable[Record], end: int | None) -> list[Record]:
    return [record for record in records if end is None or record.end <= end]
