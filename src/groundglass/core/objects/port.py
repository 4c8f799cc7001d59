"""The port: what every driver of objects promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from groundglass.errors import UsageError

CHUNK = 1 << 20  # bytes of one step of a stream

# A part never starts with a dot: no `..`, no hidden file, and the folder driver's own names cannot be named.
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
_KEY = re.compile(rf"{_PART}(/{_PART})*", re.ASCII)
_LONGEST = 800


class Objects(Protocol):
    """Immutable bytes by key. Every method raises UsageError for a key that is not one.

    Reads of what is absent raise NotFoundError; a full store raises NoRoomError; any other fault of the store raises
    UnavailableError, and the same call may succeed later. No message carries a key.
    """

    def put_file(self, key: str, path: Path) -> None:
        """Store a finished local file, durably. The file at `path` stays (perhaps linked: never write to it again)."""

    def put_bytes(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """Store bytes, durably."""

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return `length` bytes from `offset`, fewer where the object ends, none beyond its end."""

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Like `get`, in pieces of bounded size. Raises NotFoundError at the call, not at the first piece."""

    def size(self, key: str) -> int | None:
        """Return the size in bytes, None if there is no such object."""

    def delete(self, key: str) -> None:
        """Remove the object, durably; what is absent is fine."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys below the folder `prefix` (whole parts; all keys when empty), in no order."""

    def local_path(self, key: str) -> Path | None:
        """Return the path of an object that lies on this machine, so that the kernel can send it; else None."""


def valid_key(key: str) -> str:
    """Return the key if it is one: parts of [A-Za-z0-9._-] that start with no dot, joined by slashes."""
    if len(key) > _LONGEST or not _KEY.fullmatch(key):
        raise UsageError("not an object key: letters, digits, . _ - in parts joined by /, none starting with a dot")
    return key


def valid_range(offset: int, length: int | None) -> None:
    """Raise UsageError for a range that starts before the object or has a negative length."""
    if offset < 0 or (length is not None and length < 0):
        raise UsageError("a range of an object starts at 0 or later and is not negative")
