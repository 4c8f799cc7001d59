"""`groundglass audit`: the hash chain of every access and decision, checked or exported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass import config
from groundglass.cli.options import Data
from groundglass.core import audit, database

app = typer.Typer(no_args_is_help=True, help="The audit log of both zones.")


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An exported log; without it both zones' own.")] = None,
    data: Data = None,
) -> None:
    """Check the chain: exit 0 when it is intact, 1 when it is broken."""
    if file:
        _tell(file.name, audit.verify_file(file))
        return
    settings = config.load(data)
    with database.reachable(settings):
        found = {}
        for zone in database.ZONES:
            with database.connect(settings, zone) as connection:
                found[zone] = audit.verify(connection)
    for zone, broken in found.items():
        _tell(zone, broken, stop=False)
    if any(found.values()):
        raise typer.Exit(1)


@app.command()
def export(
    out: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="Both zones' logs, one after the other.")],
    data: Data = None,
) -> None:
    """Write the log as JSON lines that `audit verify FILE` checks anywhere."""
    settings = config.load(data)
    with database.reachable(settings), out.open("w", encoding="utf-8") as file:
        for zone in database.ZONES:
            with database.connect(settings, zone) as connection:
                typer.echo(f"{zone}: {audit.export(connection, file)} events", err=True)


def _tell(name: str, broken: audit.Broken | None, *, stop: bool = True) -> None:
    typer.echo(f"{name}: {'intact' if broken is None else f'broken at event {broken.id} ({broken.reason})'}")
    if broken and stop:
        raise typer.Exit(1)
