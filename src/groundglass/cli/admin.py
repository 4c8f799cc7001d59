"""`groundglass admin`: accounts and tokens."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from groundglass import config
from groundglass.cli.options import Data
from groundglass.core import accounts, database, jobs
from groundglass.errors import UsageError

Zone = Annotated[str, typer.Option("--zone", metavar="registry|gateway")]
app = typer.Typer(no_args_is_help=True, help="Accounts and tokens.")


@app.command()
def token(
    role: Annotated[str, typer.Option(metavar="ROLE", help=", ".join(get_args(accounts.Role)))],
    zone: Zone = "registry",
    centre: Annotated[str | None, typer.Option(metavar="CODE", help="Made when it is missing.")] = None,
    data: Data = None,
) -> None:
    """Print a bearer token for scripts; it is shown this once."""
    if role not in get_args(accounts.Role):
        raise UsageError(f"no such role: choose among {', '.join(get_args(accounts.Role))}")
    settings, chosen = config.load(data), _zone(zone)
    with database.reachable(settings), database.connect(settings, chosen) as connection:
        secret = accounts.issue_token(connection, role=role, zone=chosen, centre=centre)  # type: ignore[arg-type]
    typer.echo(secret)


@app.command()
def held(zone: Zone = "registry", data: Data = None) -> None:
    """List the jobs that failed too often and wait for somebody: number, task, failures, error."""
    settings = config.load(data)
    with database.reachable(settings), database.connect(settings, _zone(zone)) as connection:
        for job in jobs.held_jobs(connection):
            typer.echo(f"{job.id}  {job.task}  {job.failures}  {job.error}")


@app.command()
def resume(
    job: Annotated[int, typer.Argument(metavar="NUMBER", help="As `admin held` lists it.")],
    zone: Zone = "registry",
    data: Data = None,
) -> None:
    """Give a held job all its attempts again, once its cause is gone."""
    settings = config.load(data)
    with database.reachable(settings), database.connect(settings, _zone(zone)) as connection:
        jobs.resume(connection, job)


def _zone(name: str) -> database.Zone:
    if name not in get_args(database.Zone):
        raise UsageError("--zone is registry or gateway")
    return "gateway" if name == "gateway" else "registry"
