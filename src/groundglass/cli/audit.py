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
def export(out: Annotated[Path, typer.Option(metavar="FILE.jsonl")], data: Data = None) -> None:
    """Write both zones' logs as JSON lines, one file a zone: FILE.gateway.jsonl and FILE.registry.jsonl."""
    settings = config.load(data)
    with database.reachable(settings):
        for zone in database.ZONES:
            path = out.with_name(f"{out.stem}.{zone}{out.suffix}")
            with database.connect(settings, zone) as connection, path.open("w", encoding="utf-8") as file:
                typer.echo(f"{path.name}: {audit.export(connection, file)}", err=True)


def _tell(name: str, broken: audit.Broken | None, *, stop: bool = True) -> None:
    typer.echo(f"{name}: {'intact' if broken is None else broken}")
    if broken and stop:
        raise typer.Exit(1)
