"""The command `groundglass`. Exit codes: 0 done, 1 failed, 2 usage, 3 done but some inputs were held back."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from groundglass.cli import admin, audit, deidentify, doctor, ledger, roles, serve, worker
from groundglass.errors import GroundglassError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.command("serve")(serve.serve)
app.command("ledger")(ledger.ledger)
app.command("deidentify")(deidentify.deidentify)
app.command("doctor")(doctor.doctor)
app.command("worker")(worker.worker)
app.command("role", hidden=True)(roles.role)
app.add_typer(admin.app, name="admin")
app.add_typer(audit.app, name="audit")


def main() -> NoReturn:
    """Run the command; an error that we foresaw is one sentence on stderr, without a trace."""
    try:
        app()
    except GroundglassError as error:
        print(f"groundglass: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except OSError as error:  # its message names a path, and a path may name a patient
        print(f"groundglass: {error.strerror or 'input or output failed'}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    sys.exit(0)
