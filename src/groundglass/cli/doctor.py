"""`groundglass doctor`: what is wrong with this installation, and what to do."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import typer

from groundglass import config
from groundglass.cli.options import Data
from groundglass.config import Settings
from groundglass.core import audit, database, jobs
from groundglass.errors import GroundglassError
from groundglass.gateway import ledger


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and what to do about it."""

    what: str
    remedy: str


def doctor(data: Data = None) -> None:
    """Check folders, databases, audit chains and the ledger: exit 0 when all is well, 1 when something is not."""
    settings = config.load(data)
    faults = list(_folders(settings))
    with database.reachable(settings):
        for check in (_databases, _chains, _ledger, _held):
            faults += _guarded(check, settings)
    for fault in faults:
        typer.echo(f"- {fault.what}: {fault.remedy}")
    typer.echo("all is well" if not faults else f"{len(faults)} fault(s)")
    raise typer.Exit(1 if faults else 0)


def _guarded(check: Callable[[Settings], Iterator[Fault]], settings: Settings) -> list[Fault]:
    try:
        return list(check(settings))
    except GroundglassError as error:
        return [Fault(str(error), "see the message")]


def _folders(settings: Settings) -> Iterator[Fault]:
    for folder in (settings.data, settings.gateway_dir, settings.registry_dir, settings.gateway_dir / "vault"):
        if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            yield Fault(f"{folder} is open to other users", f"chmod 700 {folder}")
    if settings.data.exists():
        used = shutil.disk_usage(settings.data)
        if used.used * 100 > used.total * settings.gateway.high_water_pct:
            yield Fault("the disk is above its high-water mark: the gateway takes nothing in", "make room")
        if not os.access(settings.data, os.W_OK):
            yield Fault(f"{settings.data} cannot be written", "give it to the user of groundglass")


def _databases(settings: Settings) -> Iterator[Fault]:
    for zone in database.ZONES:
        with database.connect(settings, zone) as connection:
            row = connection.execute(
                "SELECT rolsuper, current_setting('fsync') FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        if row and row[0]:
            yield Fault(f"the {zone} application connects as a superuser", "give it a role of its own")
        if row and row[1] != "on":
            yield Fault(f"the {zone} database runs without fsync", "turn fsync on")


def _chains(settings: Settings) -> Iterator[Fault]:
    for zone in database.ZONES:
        with database.connect(settings, zone) as connection:
            if broken := audit.verify(connection):
                yield Fault(f"the audit chain of the {zone} is broken ({broken})", "keep a copy and call the auditor")


def _jobs(settings: Settings) -> Iterator[Fault]:
    for zone in database.ZONES:
        with database.connect(settings, zone) as connection:
            for job in jobs.held_jobs(connection):
                yield Fault(f"job {job.id} of the {zone} is held: {job.task}, {job.error}", "mend the cause, resume it")


def _ledger(settings: Settings) -> Iterator[Fault]:
    for sender, account in ledger.ledger(settings)["senders"].items():
        kinds = ("archived", "quarantined", "duplicates", "pending", "withdrawn")
        if account["received"] != sum(account[kind] for kind in kinds):
            yield Fault(f"the ledger of {sender} does not balance", "keep the data folder as it is and report this")


def _held(settings: Settings) -> Iterator[Fault]:
    for zone in database.ZONES:
        with database.connect(settings, zone) as connection:
            waiting = len(jobs.held_jobs(connection))
        if waiting:
            yield Fault(
                f"{waiting} job(s) of the {zone} failed too often", f"admin held --zone {zone}, then admin resume"
            )
