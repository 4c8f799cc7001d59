"""Who may be connected at once: many who only knocked, few who are associated, fewer of one address."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Protocol

MAX_WAITING = 128


class Connection(Protocol):
    """Something with a peer's address that can be ended from any thread."""

    @property
    def address(self) -> str:
        """The peer's address, without its port."""
        ...

    def cut(self) -> None:
        """End the connection."""
        ...


class Peers:
    """Counts connections. Who has not associated yet can be turned out, so that a flood does not shut the door."""

    def __init__(self, *, associations: int, per_address: int) -> None:
        self._associations = associations
        self._per_address = per_address
        self._lock = threading.Lock()
        self._waiting: dict[Connection, None] = {}  # oldest first
        self._admitted: dict[Connection, None] = {}

    def enter(self, connection: Connection) -> None:
        """Let a new connection wait; the oldest of the most numerous address makes room."""
        with self._lock:
            self._waiting[connection] = None
            loser = self._most_pressing() if len(self._waiting) > MAX_WAITING else None
            if loser is not None:
                del self._waiting[loser]
        if loser is not None:
            loser.cut()

    def admit(self, connection: Connection) -> bool:
        """Take a waiting connection among the associations, unless there are too many."""
        with self._lock:
            of_address = sum(other.address == connection.address for other in self._admitted)
            if len(self._admitted) >= self._associations or of_address >= self._per_address:
                return False
            self._waiting.pop(connection, None)
            self._admitted[connection] = None
            return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._admitted.pop(connection, None)

    def cut_all(self) -> None:
        """End every connection."""
        with self._lock:
            everyone = [*self._waiting, *self._admitted]
        for connection in everyone:
            connection.cut()

    def _most_pressing(self) -> Connection:
        counts = Counter(connection.address for connection in self._waiting)
        address = counts.most_common(1)[0][0]
        return next(connection for connection in self._waiting if connection.address == address)
