"""Objects in a folder: temporary file, fsync, rename, fsync of the folder (obstore's own local store never syncs)."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from groundglass.core.objects.port import CHUNK, valid_key, valid_range
from groundglass.errors import NoRoomError, NotFoundError, UnavailableError

_TEMPORARY = ".tmp"
_STALE_SECONDS = 86_400.0


class FolderObjects:
    """Objects below `root`, which is made if missing; its file system must survive fsync truthfully."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._synced: set[Path] = set()
        self._temporary = root / _TEMPORARY
        with _faults():
            self._temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(root.parent)
            self._forget_stale()

    def put_file(self, key: str, path: Path) -> None:
        """See Objects: a hard link where the file system allows it, else a copy."""
        target = self._path(key)
        with _faults(), self._temporary_name() as temporary:
            try:
                os.link(path, temporary)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copyfile(path, temporary)
            self._publish(temporary, target)

    def put_bytes(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """See Objects."""
        target = self._path(key)
        with _faults(), self._temporary_name() as temporary:
            with temporary.open("xb", buffering=0) as out:
                _write_all(out.fileno(), memoryview(data).cast("B"))
            self._publish(temporary, target)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """See Objects."""
        return b"".join(self.stream(key, offset, length))

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See Objects."""
        valid_range(offset, length)
        size = self.size(key)
        if size is None:
            raise NotFoundError("no such object")
        end = size if length is None else min(size, offset + length)
        return _pieces(self._path(key), offset, end)

    def size(self, key: str) -> int | None:
        """See Objects."""
        path = self._path(key)
        with _faults():
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return found.st_size if path.is_file() else None

    def delete(self, key: str) -> None:
        """See Objects."""
        path = self._path(key)
        with _faults():
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            _sync(path.parent)

    def list(self, prefix: str = "") -> Iterator[str]:
        """See Objects."""
        start = self._path(prefix) if prefix else self._root
        for folder, folders, files in os.walk(start):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                yield (Path(folder) / name).relative_to(self._root).as_posix()

    def local_path(self, key: str) -> Path | None:
        """See Objects; the object may be absent."""
        return self._path(key)

    def _path(self, key: str) -> Path:
        return self._root / valid_key(key)

    @contextlib.contextmanager
    def _temporary_name(self) -> Iterator[Path]:
        path = self._temporary / secrets.token_hex(12)
        try:
            yield path
        finally:
            # also after success: renaming one hard link onto another of the same file leaves both
            path.unlink(missing_ok=True)

    def _publish(self, temporary: Path, target: Path) -> None:
        _sync(temporary)
        self._make_folder(target.parent)
        temporary.replace(target)
        _sync(target.parent)

    def _make_folder(self, folder: Path) -> None:
        """Make the folder and sync the chain above it, once per process.

        A folder that exists may be another writer's, not yet synced by it: existing is not enough.
        """
        if folder in self._synced or folder == self._root:
            return
        self._make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync(folder.parent)
        self._synced.add(folder)

    def _forget_stale(self) -> None:
        """Remove what writers that died left behind; nobody writes one file for a day."""
        before = time.time() - _STALE_SECONDS
        for path in self._temporary.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ctime < before:
                    path.unlink()


def _pieces(path: Path, offset: int, end: int) -> Iterator[bytes]:
    with _faults(), path.open("rb", buffering=0) as file:
        while offset < end:
            piece = os.pread(file.fileno(), min(CHUNK, end - offset), offset)
            if not piece:
                return
            yield piece
            offset += len(piece)


def _write_all(fd: int, data: memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Turn the system's errors, whose messages name paths, into ours."""
    try:
        yield
    except FileNotFoundError:
        raise NotFoundError("no such object or file") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError("the folder of the objects has no room left") from None
        raise UnavailableError(f"the folder of the objects failed ({errno.errorcode.get(error.errno or 0)})") from None
