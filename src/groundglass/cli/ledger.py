"""`groundglass ledger`: every instance accounted for, serve up or down."""

from __future__ import annotations

import json

import typer

from groundglass import config
from groundglass.cli.options import Data, Json
from groundglass.core import database
from groundglass.gateway import ledger as gateway_ledger

_COLUMNS = ("received", "archived", "quarantined", "duplicates", "pending", "withdrawn")


def ledger(data: Data = None, as_json: Json = False) -> None:
    """Count what each sender sent and what became of it."""
    settings = config.load(data)
    with database.reachable(settings):
        counts = gateway_ledger.ledger(settings)
    if as_json:
        typer.echo(json.dumps(counts))
        return
    width = max(len(name) for name in ("sender", *counts["senders"]))
    typer.echo("  ".join(["sender".ljust(width), *(name.rjust(11) for name in _COLUMNS)]))
    for sender, account in [*counts["senders"].items(), ("total", counts["total"])]:
        typer.echo("  ".join([sender.ljust(width), *(str(account[name]).rjust(11) for name in _COLUMNS)]))
