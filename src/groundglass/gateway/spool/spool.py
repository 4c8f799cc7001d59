"""The spool: where a received object is made durable before its success is answered."""

from __future__ import annotations

import fcntl
import hmac
import os
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path

from groundglass.core.failpoint import failpoint
from groundglass.errors import FolderInUseError, NoRoomError
from groundglass.gateway.spool import ordinals
from groundglass.gateway.spool.record import (
    Origin,
    Record,
    encode_header,
    encode_trailer,
    place,
    scan,
    segment_path,
    segments,
)
from groundglass.gateway.spool.segment import Buffer, Segment, refusal, sync_folder, write_all

_UNFINISHED = ".part"


class Spool:
    """Appends received objects to segment files, for any number of threads of one process.

    Raises FolderInUseError if another process writes to the folder. A restart never continues a segment.
    """

    def __init__(self, folder: Path, *, key: bytes, segment_bytes: int, high_water_pct: float) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._key = key
        self._segment_bytes = segment_bytes
        self._high_water_pct = high_water_pct
        self._appending = threading.Lock()
        self._segment: Segment | None = None
        self._owned = _own(folder)
        self._next = self._reserved = max(_tidy(folder), ordinals.last(folder)) + 1

    def token(self, identifier: bytes) -> bytes:
        """Return 32 bytes that stand for an identifier outside the spool: HMAC-SHA-256 under the spool's key."""
        return hmac.digest(self._key, identifier, "sha256")

    def append(self, parts: Sequence[Buffer], origin: Origin) -> Record:
        """Add one object and return once it is durable. Raises NoRoomError, SpoolError: then nothing is kept."""
        length = sum(map(len, parts))
        header = encode_header(origin, length)
        whole = [header, *parts, encode_trailer(header)]
        with self._appending:
            self.must_have_room()
            segment = self._open_segment(length)
            start = segment.written
            end = segment.write(whole)
        failpoint("spool-written")
        segment.sync(end)
        failpoint("segment-synced")
        return place(origin, segment=segment.ordinal, start=start, header=len(header), length=length)

    def spill(self, origin: Origin) -> Spill:
        """Begin an object too large for memory; it becomes a segment of its own."""
        return Spill(self, self._folder, origin)

    def adopt(self, path: Path) -> int:
        """Give a finished, synced file the next ordinal, durably, and return it."""
        with self._appending:
            self._retire()
            ordinal = self._take_ordinal()
            target = segment_path(self._folder, ordinal)
            path.rename(target)
            try:
                sync_folder(self._folder)
            except OSError:
                target.unlink()
                raise
        return ordinal

    def roll(self) -> None:
        """Go on in a new segment, so that the last one can be removed once its objects are done with.

        Raises NoRoomError, SpoolError.
        """
        with self._appending:
            if self._segment is None or self._segment.written > 0:
                self._retire()
                self._segment = self._new_segment()

    def close(self) -> None:
        """Close the segment under way and give the folder up."""
        with self._appending:
            self._retire()
        os.close(self._owned)

    def must_have_room(self) -> None:
        """Raise NoRoomError above the high-water mark. Per cent as `df` counts: what only root may use is not room."""
        stat = os.statvfs(self._folder)
        used = stat.f_blocks - stat.f_bfree
        if used * 100 >= self._high_water_pct * (used + stat.f_bavail):
            raise NoRoomError("the spool's file system is above its high-water mark")

    def _open_segment(self, length: int) -> Segment:
        segment = self._segment
        if segment is not None and (segment.broken or 0 < segment.written > self._segment_bytes - length):
            self._retire()
        if self._segment is None:
            self._segment = self._new_segment()
        return self._segment

    def _new_segment(self) -> Segment:
        try:
            ordinal = self._take_ordinal()
            segment = Segment(segment_path(self._folder, ordinal), ordinal)
            sync_folder(self._folder)
        except OSError as error:
            raise refusal(error) from None
        return segment

    def _take_ordinal(self) -> int:
        if self._next >= self._reserved:
            self._reserved = ordinals.reserve(self._folder, self._next)
        ordinal, self._next = self._next, self._next + 1
        return ordinal

    def _retire(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()


class Spill:
    """A large object on its way to a segment of its own: a nameless part of the spool until `finish`."""

    def __init__(self, spool: Spool, folder: Path, origin: Origin) -> None:
        self._spool = spool
        self._origin = origin
        self._header = len(encode_header(origin, 0))
        self._length = 0
        self._path = folder / f"{secrets.token_hex(16)}{_UNFINISHED}"
        try:
            self._fd = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refusal(error) from None

    def write(self, parts: Sequence[Buffer]) -> None:
        """Add bytes. Raises NoRoomError, SpoolError; then call `discard`."""
        self._spool.must_have_room()
        try:
            self._length += write_all(self._fd, parts, self._header + self._length)
        except OSError as error:
            raise refusal(error) from None

    def finish(self) -> Record:
        """Return once the object is durable under its ordinal. Raises NoRoomError, SpoolError; then call `discard`."""
        header = encode_header(self._origin, self._length)
        try:
            write_all(self._fd, [encode_trailer(header)], self._header + self._length)
            write_all(self._fd, [header], 0)
            failpoint("spool-written")
            os.fdatasync(self._fd)
            ordinal = self._spool.adopt(self._path)
        except OSError as error:
            raise refusal(error) from None
        failpoint("segment-synced")
        os.close(self._fd)
        return place(self._origin, segment=ordinal, start=0, header=self._header, length=self._length)

    def discard(self) -> None:
        """Forget the object."""
        os.close(self._fd)
        self._path.unlink(missing_ok=True)


def remove(folder: Path, ordinal: int) -> None:
    """Remove a segment, durably. Removing twice is fine."""
    segment_path(folder, ordinal).unlink(missing_ok=True)
    sync_folder(folder)


def _own(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise FolderInUseError("another receiver writes to this spool") from None
    return fd


def _tidy(folder: Path) -> int:
    """Drop what a kill left half done; return the last ordinal. Only the last segment can have a torn tail."""
    for part in folder.glob(f"*{_UNFINISHED}"):
        part.unlink()
    known = segments(folder)
    if not known:
        return 0
    whole = 0
    for record in scan(folder, known[-1]):
        whole = record.end
    os.truncate(segment_path(folder, known[-1]), whole)
    return known[-1]
