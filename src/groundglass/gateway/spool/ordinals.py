"""Ordinals are never given twice, although segments are removed: how far they are given stands in a file."""

from __future__ import annotations

import os
from pathlib import Path

from groundglass.gateway.spool.segment import sync_folder

_NAME = "ordinals"
_BLOCK = 64


def last(folder: Path) -> int:
    """Return the highest ordinal that may have been given, 0 in a new folder."""
    try:
        return int((folder / _NAME).read_bytes())
    except FileNotFoundError:
        return 0


def reserve(folder: Path, first: int) -> int:
    """Reserve a block of ordinals from `first`, durably; return the first one behind it."""
    end = first + _BLOCK
    fresh = folder / f"{_NAME}.part"
    with fresh.open("wb") as out:
        out.write(b"%d\n" % (end - 1))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(folder / _NAME)
    sync_folder(folder)
    return end
