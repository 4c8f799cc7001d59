"""Children that cannot outlive their parent."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signum: int = signal.SIGTERM) -> None:
    """Ask the kernel to send `signum` to this process when the thread that started it ends (Linux)."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signum))


def tied_to_parent(signum: int = signal.SIGTERM) -> Callable[[], None]:
    """Return a `preexec_fn`: it runs in the child after setuid, which would clear the request."""
    return lambda: die_with_parent(signum)
