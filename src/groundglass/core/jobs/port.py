"""What a handler is, and how it says that it could not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from groundglass.config import Settings
from groundglass.core.migrations import Zone

_CODE = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler or sweeper works with."""

    settings: Settings
    zone: Zone


# Called with the context and the ids of `defer` by keyword. Raises anything to be tried again.
Handler: TypeAlias = Callable[..., None]
# Called every sweep_seconds: gives every row whose state implies a next step its job.
Sweeper: TypeAlias = Callable[[Context], None]


class Later(Exception):
    """Try again in so many seconds, without end and without counting it as a failure."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Permanent(Exception):
    """Hold the job at once: trying again cannot help. Bad data is an outcome that the handler commits, not this."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code if _CODE.fullmatch(code) else "permanent"
