"""`groundglass ledger`: every instance accounted for, serve up or down."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table

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
    table = Table("sender", *_COLUMNS)
    for sender, account in [*counts["senders"].items(), ("total", counts["total"])]:
        table.add_row(sender, *(str(account[name]) for name in _COLUMNS))
    Console().print(table)
