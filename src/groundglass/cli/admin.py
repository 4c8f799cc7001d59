"""`groundglass admin`: accounts and tokens."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import typer

from groundglass import config
from groundglass.cli.options import Data
from groundglass.core import accounts, database
from groundglass.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Accounts and tokens.")


@app.callback()
def _group() -> None:
    """Keep `admin` a group while it has one command."""


@app.command()
def token(
    role: Annotated[str, typer.Option(metavar="ROLE", help=", ".join(get_args(accounts.Role)))],
    zone: Annotated[str, typer.Option(metavar="registry|gateway")] = "registry",
    centre: Annotated[str | None, typer.Option(metavar="CODE", help="Made when it is missing.")] = None,
    data: Data = None,
) -> None:
    """Print a bearer token for scripts; it is shown this once."""
    if role not in get_args(accounts.Role):
        raise UsageError(f"no such role: choose among {', '.join(get_args(accounts.Role))}")
    if zone not in get_args(database.Zone):
        raise UsageError("--zone is registry or gateway")
    chosen: Literal["registry", "gateway"] = "gateway" if zone == "gateway" else "registry"
    settings = config.load(data)
    with database.reachable(settings), database.connect(settings, chosen) as connection:
        secret = accounts.issue_token(connection, role=role, zone=chosen, centre=centre)  # type: ignore[arg-type]
    typer.echo(secret)
