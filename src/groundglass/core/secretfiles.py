"""Secrets as files of mode 0600 in folders of mode 0700, durable before they are used."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can enter; an existing one is closed again."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_secret(path: Path, secret: bytes) -> None:
    """Write a secret durably, whole or not at all, in place of an older one."""
    with _finished(path, secret) as temporary:
        temporary.rename(path)


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the secret of a file, made by `make` the first time; of two that make it at once the first one stays."""
    if not path.exists():
        with _finished(path, make()) as temporary, contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    return path.read_bytes()


@contextlib.contextmanager
def _finished(path: Path, secret: bytes) -> Iterator[Path]:
    """Yield a synced file beside `path`; afterwards it is gone and the folder is synced."""
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
