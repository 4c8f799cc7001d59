"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The data folder (default: GROUNDGLASS_DATA, else the platform's)."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")]
