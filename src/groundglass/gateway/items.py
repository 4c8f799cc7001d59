"""The instances of one intake where they lie in the spool."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from groundglass.gateway import spool


@dataclass(frozen=True, slots=True)
class Item:
    """One received instance: a complete Part 10 object inside a spool segment."""

    part: int  # intake_part.id
    rank: int  # its place in the part
    sender: str
    centre: str
    segment: int
    offset: int
    length: int

    @property
    def number(self) -> int:
        """A number that stays the same however often the intake is processed."""
        return self.part * 1_000_000 + self.rank


def of_intake(connection: psycopg.Connection, intake_id: int) -> list[Item]:
    """Return the instances of an intake in the order in which they came."""
    rows = connection.execute(
        "SELECT id, sender, centre, segment, offsets, lengths FROM intake_part"
        " WHERE intake_id = %s AND offsets IS NOT NULL ORDER BY segment, id",
        (intake_id,),
    ).fetchall()
    return [
        Item(part, rank, sender, centre, segment, offset, length)
        for part, sender, centre, segment, offsets, lengths in rows
        for rank, (offset, length) in enumerate(zip(offsets, lengths, strict=True))
    ]


class Segments:
    """The open segments of one piece of work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, int] = {}

    def fd(self, segment: int) -> int:
        """Return a descriptor of the segment, read only."""
        if segment not in self._open:
            self._open[segment] = os.open(spool.segment_path(self._folder, segment), os.O_RDONLY)
        return self._open[segment]

    def read(self, item: Item, length: int) -> bytes:
        """Return the first `length` bytes of an instance, fewer when it is shorter."""
        return os.pread(self.fd(item.segment), min(length, item.length), item.offset)

    def close(self) -> None:
        """Close them all."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()


@contextlib.contextmanager
def segments(folder: Path) -> Iterator[Segments]:
    """Open segments as they are needed and close them at the end."""
    opened = Segments(folder)
    try:
        yield opened
    finally:
        opened.close()
