"""Bytes that lie partly in memory and partly in open files, read without making them one object."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from groundglass.series.invalid import InvalidPackageError


@dataclass(frozen=True, slots=True)
class FileSpan:
    """`length` bytes of the open file `fd`, from `offset`."""

    fd: int
    offset: int
    length: int


Part = bytes | memoryview | FileSpan


class Sink(Protocol):
    """Where a package is written; a short write is continued."""

    def write(self, data: bytes | memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Source:
    """One object as the concatenation of its parts."""

    parts: tuple[Part, ...]
    size: int

    @classmethod
    def of(cls, parts: tuple[Part, ...]) -> Source:
        """Return the source of these parts; its size is the sum of theirs."""
        return cls(parts, sum(map(_length, parts)))

    def read_into(self, view: memoryview, offset: int = 0) -> None:
        """Fill `view` from `offset`. Raises InvalidPackageError("truncated") when a file is shorter than its span."""
        at, wanted = 0, len(view)
        if not view:
            return
        for part in self.parts:
            length = _length(part)
            if offset >= length:
                offset -= length
                continue
            take = min(length - offset, wanted - at)
            if isinstance(part, FileSpan):
                read_exactly(part.fd, view[at : at + take], part.offset + offset)
            else:
                view[at : at + take] = part[offset : offset + take]
            at, offset = at + take, 0
            if at == wanted:
                return
        raise InvalidPackageError("truncated")

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`."""
        found = bytearray(length)
        self.read_into(memoryview(found), offset)
        return bytes(found)

    def chunks(self, buffer: memoryview) -> Iterator[memoryview]:
        """Yield all bytes in order: the one part in memory as it is, anything else through the reused `buffer`."""
        if len(self.parts) == 1 and not isinstance(self.parts[0], FileSpan):
            yield memoryview(self.parts[0])
            return
        for at in range(0, self.size, len(buffer)):
            view = buffer[: min(len(buffer), self.size - at)]
            self.read_into(view, at)
            yield view


def _length(part: Part) -> int:
    return part.length if isinstance(part, FileSpan) else len(part)


def read_exactly(fd: int, view: memoryview, offset: int) -> None:
    """Fill `view` from the file. Raises InvalidPackageError("truncated") at its end."""
    done = 0
    while done < len(view):
        count = os.preadv(fd, [view[done:]], offset + done)
        if count == 0:
            raise InvalidPackageError("truncated")
        done += count


def write_all(out: Sink, data: bytes | memoryview) -> None:
    """Write everything, whatever part of it one call takes."""
    view = memoryview(data)
    while view:
        written = out.write(view)
        if written is None or written == len(view):
            return
        view = view[written:]
