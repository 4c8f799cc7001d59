"""Background work: at least once, with effects exactly once (registry.md 14).

A handler looks whether its effect exists, works, stores what it made durably, and then commits domain rows, `effect`,
follow-up jobs (`defer`) and the audit event in one transaction. If `effect` answers False, another was faster: it rolls
back.
"""

from __future__ import annotations

from groundglass.core.jobs.held import Held, held_jobs, resume
from groundglass.core.jobs.outbox import defer, effect, has_effect
from groundglass.core.jobs.port import Context, Handler, Later, Permanent, Sweeper
from groundglass.core.jobs.schema import procrastinate_schema
from groundglass.core.jobs.worker import run_worker

__all__ = [
    "Context",
    "Handler",
    "Held",
    "Later",
    "Permanent",
    "Sweeper",
    "defer",
    "effect",
    "has_effect",
    "held_jobs",
    "procrastinate_schema",
    "resume",
    "run_worker",
]
