"""What a command reads: files, folders and ZIPs, in the order of their paths. ZIPs are counted while inflating."""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from struct import Struct

from groundglass.errors import NotFoundError, UsageError

MAX_ENTRIES = 50_000
MAX_INFLATED = 50 << 30
MAX_ENTRY = (2 << 30) + (1 << 20)
_MAX_DIRECTORY = 32 << 20
_BLOCK = 1 << 20
_END = Struct("<4s4H2LH")
_END_64 = Struct("<4sQ2H2L4Q")


class RefusedArchiveError(UsageError):
    """A ZIP that breaks a limit or is not what it says."""


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read. `entry` is its place in the ZIP at `path`, -1 for a plain file. `refused`: do not open."""

    path: str
    entry: int
    named: bool
    refused: bool = False


def find(named: Sequence[Path]) -> Iterator[Source]:
    """Everything below the named files, folders and ZIPs, sorted by path. NotFoundError when one is not there."""
    for path in sorted(named):
        if path.is_dir():
            for file in _below(path):
                yield from _one(file, named=False)
        elif path.is_file():
            yield from _one(os.fspath(path), named=True)
        else:
            raise NotFoundError("one of the named sources does not exist or is not a file or folder")


def _below(folder: Path) -> Iterator[str]:
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(root, name))]
        found += [os.path.join(root, name) for name in files]
    yield from (path for path in sorted(found) if stat.S_ISREG(os.lstat(path).st_mode))


def _one(path: str, *, named: bool) -> Iterator[Source]:
    with open(path, "rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    if not is_zip:
        yield Source(path, -1, named)
        return
    try:
        entries = _entries(path)
    except (RefusedArchiveError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield Source(path, -1, named=True, refused=True)
        return
    yield from (Source(path, entry, named=False) for entry in entries)


def _entries(path: str) -> list[int]:
    """Places of the files of a ZIP in the order of their names. RefusedArchiveError when it breaks a rule."""
    _check_directory(path)
    archive = _open_zip(path)
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES or sum(info.file_size for info in infos) > MAX_INFLATED:
        raise RefusedArchiveError("the ZIP has too many entries or bytes")
    end = 0
    for info in sorted(infos, key=lambda one: one.header_offset):
        if info.header_offset < end or info.flag_bits & 0x1 or stat.S_ISLNK(info.external_attr >> 16):
            raise RefusedArchiveError("the ZIP has overlapping, encrypted or linked entries")
        end = info.header_offset + 30 + len(info.orig_filename.encode()) + info.compress_size
    if end > os.path.getsize(path):
        raise RefusedArchiveError("the ZIP is cut short")
    return sorted((n for n, info in enumerate(infos) if not info.is_dir()), key=lambda n: infos[n].filename)


def _check_directory(path: str) -> None:
    """Refuse a directory that is too large before anything is made of it."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - (66 << 10)))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise RefusedArchiveError("the ZIP has no directory")
    _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, at)
    at_64 = tail.rfind(b"PK\x06\x06", 0, at)
    if at_64 >= 0 and 0xFFFF in (count, offset & 0xFFFF):
        *_, count, size, offset = _END_64.unpack_from(tail, at_64)
    if count > MAX_ENTRIES or size > _MAX_DIRECTORY:
        raise RefusedArchiveError("the ZIP has too many entries")


@lru_cache(maxsize=2)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@contextmanager
def opened(source: Source) -> Iterator[tuple[int, int]]:
    """A file descriptor of the source and its size; an entry of a ZIP is inflated to a file without a name.

    RefusedArchiveError when an entry is larger than it says, or nests another archive. OSError, zipfile.BadZipFile.
    """
    if source.entry < 0:
        fd = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield fd, os.fstat(fd).st_size
        finally:
            os.close(fd)
        return
    archive = _open_zip(source.path)
    info = archive.infolist()[source.entry]
    with tempfile.TemporaryFile() as inflated, archive.open(info) as stream:
        size = 0
        while block := stream.read(_BLOCK):
            if size == 0 and block[:4] == b"PK\x03\x04":
                raise RefusedArchiveError("a ZIP inside a ZIP")
            size += len(block)
            if size > min(info.file_size, MAX_ENTRY):
                raise RefusedArchiveError("an entry of the ZIP is larger than it says or may be")
            inflated.write(block)
        inflated.flush()
        yield inflated.fileno(), size
