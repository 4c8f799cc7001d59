"""`groundglass deidentify`: files, folders and ZIPs in, an anonymised tree out, nothing sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.errors import UsageError


def deidentify(
    sources: Annotated[list[Path] | None, typer.Argument(metavar="SRC...", help="Files, folders, ZIPs.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="OUT/PATIENT/STUDY/SERIES/INSTANCE.dcm")] = None,
    profile: Annotated[str, typer.Option(help="A profile's name or a TOML file.")] = "fidac-anonyme",
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="64 hex digits; random and destroyed if none.")
    ] = None,
    collection: Annotated[str, typer.Option()] = "fidac",
    centre: Annotated[str, typer.Option()] = "LOCAL",
    quarantine: Annotated[Path | None, typer.Option(metavar="DIR", help="Where what is held back is copied.")] = None,
    workers: Annotated[int, typer.Option(min=1)] = 1,
    report: Annotated[Path | None, typer.Option(metavar="FILE.json")] = None,
    statements: Annotated[Path | None, typer.Option(metavar="DIR")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge everything, write nothing.")] = False,
    describe: Annotated[str | None, typer.Option(metavar="PROFILE", help="Print what a profile does.")] = None,
    lang: Annotated[str, typer.Option(metavar="fr|en")] = "fr",
) -> None:
    """De-identify here; exit 3 when some inputs were quarantined or refused."""
    from groundglass.client import deidentify as folder

    if describe:
        typer.echo(folder.describe(describe, lang))
        return
    if not sources or (out is None and not dry_run):
        raise UsageError("name at least one SRC and --out DIR")
    held = folder.run(
        sources,
        out,
        profile=profile,
        key=key,
        collection=collection,
        centre=centre,
        quarantine=quarantine,
        workers=workers,
        report=report,
        statements=statements,
        dry_run=dry_run,
    )
    raise typer.Exit(3 if held.counts.quarantined or held.counts.refused else 0)
