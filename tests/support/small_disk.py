"""A small file system of its own, which a test can fill to the last byte."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A mounted file system; `folder` is its root."""

    folder: Path

    @property
    def room(self) -> int:
        """Bytes that can still be written."""
        stat = os.statvfs(self.folder)
        return stat.f_bavail * stat.f_frsize

    def leave(self, room: int) -> None:
        """Fill the disk until only `room` bytes are left, whatever others write meanwhile."""
        with self._ballast.open("ab") as ballast:
            while (excess := self.room - room) > 0:
                size = os.fstat(ballast.fileno()).st_size
                with contextlib.suppress(OSError):
                    os.posix_fallocate(ballast.fileno(), size, excess)

    def make_room(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextlib.contextmanager
def mounted(folder: Path, *, mib: int) -> Iterator[SmallDisk]:
    """Mount an empty file system of that size at `folder`. Skips loudly where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0755", "tmpfs", folder]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("NOT TESTED WITH A FULL DISK: mounting a small file system (tmpfs) is not permitted here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, capture_output=True)
