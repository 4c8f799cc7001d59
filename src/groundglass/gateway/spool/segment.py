"""Files that only grow, made durable for many threads by few syncs."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from groundglass.errors import NoRoomError, UnavailableError

Buffer = bytes | bytearray | memoryview
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_IOV_MAX = 1024


class SpoolError(UnavailableError):
    """The spool's disk does not take writes."""

    slug = "spool"


class Segment:
    """One open segment. `write` is called under the spool's lock, `sync` by any thread."""

    def __init__(self, path: Path, ordinal: int) -> None:
        self.ordinal = ordinal
        self.written = 0
        self.broken = False
        self._synced = 0
        self._syncing = threading.Lock()
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)

    def write(self, parts: Sequence[Buffer]) -> int:
        """Append and return the new end, not yet durable. Raises NoRoomError, SpoolError; then nothing was added."""
        try:
            self.written += write_all(self._fd, parts, self.written)
        except OSError as error:
            os.ftruncate(self._fd, self.written)
            raise refusal(error) from None
        return self.written

    def sync(self, end: int) -> None:
        """Return once everything before `end` is durable: one sync serves all who wait for it.

        After a failed sync the kernel may have dropped the pages, so the segment is given up, never synced again.
        """
        with self._syncing:
            if self._synced >= end:
                return
            if self.broken:
                raise SpoolError("the spool could not be synced")
            target = self.written
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self.broken = True
                os.ftruncate(self._fd, self._synced)
                raise refusal(error) from None
            self._synced = target

    def close(self) -> None:
        """Sync what is left and close. Who still waits for a sync finds it done."""
        try:
            if not self.broken:
                self.sync(self.written)
        finally:
            os.close(self._fd)


def write_all(fd: int, parts: Sequence[Buffer], offset: int) -> int:
    """Write all parts one after another from `offset`; return how many bytes. Raises OSError after a partial write."""
    start = offset
    waiting = [memoryview(part) for part in parts]
    while waiting:
        done = os.pwritev(fd, waiting[:_IOV_MAX], offset)
        offset += done
        waiting = _rest(waiting, done)
    return offset - start


def _rest(parts: list[memoryview], done: int) -> list[memoryview]:
    for index, part in enumerate(parts):
        if done < len(part):
            return [part[done:], *parts[index + 1 :]]
        done -= len(part)
    return []


def refusal(error: OSError) -> NoRoomError | SpoolError:
    """Return what a failed write or sync means to the sender."""
    if error.errno in _FULL:
        return NoRoomError("the spool's file system is full")
    return SpoolError(f"the spool could not be written ({errno.errorcode.get(error.errno or 0, 'unknown')})")


def sync_folder(folder: Path) -> None:
    """Make new, renamed and removed names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
