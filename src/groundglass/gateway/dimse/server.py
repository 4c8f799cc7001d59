"""The accept loop: one thread per connection, and an orderly end."""

from __future__ import annotations

import itertools
import secrets
import socket
import threading
import time
from collections.abc import Callable

from groundglass.config import Gateway
from groundglass.core import logs
from groundglass.errors import GroundglassError
from groundglass.gateway.dimse.association import Association, Door
from groundglass.gateway.dimse.peers import Peers
from groundglass.gateway.dimse.tls import server_context
from groundglass.gateway.dimse.wire import Clocks, Wire
from groundglass.gateway.spool import Record, Spool

_LOG = logs.Logger("gateway.dimse")
_ACCEPT_SECONDS = 0.2
_GRACE_SECONDS = 5.0
_QUIET_SECONDS = 30.0
_FLOOR_WINDOW_SECONDS = 30.0


def serve_dimse(
    listener: socket.socket,
    *,
    settings: Gateway,
    aet: str,
    spool: Spool,
    on_record: Callable[[Record], None],
    on_association: Callable[[int, bool], None],
    stop: threading.Event,
    centre_of: Callable[[str], str | None] | None = None,
) -> None:
    """Receive until `stop` is set; then give the instances under way 5 s, end all associations and return.

    `on_record` is called by many threads, after the record is durable and before its success is answered.
    `on_association` says when an association of that number begins (True) and that no record of it follows (False).
    `centre_of` gives the centre of a calling AE title, None for one that is not to be let in; without it the list of
    the settings decides alone.
    The listener stays open. Raises UsageError if the TLS settings are wrong.
    """
    peers = Peers(associations=settings.max_associations, per_address=settings.max_associations_per_peer)
    door = Door(settings, aet, spool, peers, server_context(settings), on_record, on_association, centre_of)
    _Receiver(door, stop).run(listener)


class _Receiver:
    def __init__(self, door: Door, stop: threading.Event) -> None:
        self._door = door
        self._stop = stop
        self._clocks = Clocks(door.settings.idle_seconds, min(_FLOOR_WINDOW_SECONDS, door.settings.idle_seconds))
        # Unlike those of any other run: parts of a series are settled by the end of their associations.
        self._numbers = itertools.count(secrets.randbits(38) << 24)
        self._threads: set[threading.Thread] = set()
        self._quiet_since = time.monotonic()

    def run(self, listener: socket.socket) -> None:
        listener.settimeout(_ACCEPT_SECONDS)
        while not self._stop.is_set():
            try:
                sock, peer = listener.accept()
            except TimeoutError:
                self._tidy()
                continue
            except OSError as error:  # out of descriptors, or the peer has gone
                _LOG.failure("accept-failed", error)
                self._stop.wait(_ACCEPT_SECONDS)
                continue
            self._start(sock, str(peer[0]))
        self._finish()

    def _start(self, sock: socket.socket, address: str) -> None:
        deadline = time.monotonic() + self._door.settings.associate_seconds
        try:
            wire = Wire(sock, clocks=self._clocks, stop=self._stop, deadline=deadline)
        except OSError:
            sock.close()
            return
        association = Association(self._door, wire, address=address, number=next(self._numbers))
        thread = threading.Thread(target=self._run, args=(association,), name="association", daemon=True)
        self._door.peers.enter(association)
        self._threads.add(thread)
        thread.start()

    def _tidy(self) -> None:
        """When nobody has been connected for a while, let go of the segment under way: the gateway forgets."""
        now = time.monotonic()
        if self._threads:
            self._quiet_since = now
        elif now - self._quiet_since > _QUIET_SECONDS:
            self._quiet_since = now
            try:
                self._door.spool.roll()
            except GroundglassError as error:
                _LOG.failure("roll-failed", error)

    def _run(self, association: Association) -> None:
        try:
            association.run()
        finally:
            self._door.peers.leave(association)
            self._threads.discard(threading.current_thread())

    def _finish(self) -> None:
        self._join(_GRACE_SECONDS)
        self._door.peers.cut_all()
        self._join(_GRACE_SECONDS)

    def _join(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(until - time.monotonic(), 0))
