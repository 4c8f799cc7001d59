"""`groundglass deidentify`: files, folders and ZIPs in, an anonymised tree out, nothing sent."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.options import Json
from groundglass.deid import reasons
from groundglass.errors import UsageError

if TYPE_CHECKING:
    from groundglass.client.deidentify import Report


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
    as_json: Json = False,
) -> None:
    """De-identify here; exit 3 when some inputs were quarantined or refused."""
    from groundglass.client import deidentify as folder

    if describe:
        typer.echo(folder.describe(describe, lang))
        return
    if not sources or (out is None and not dry_run):
        raise UsageError("name at least one SRC and --out DIR")
    done = folder.run(
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
    _tell(done, lang, as_json=as_json)
    raise typer.Exit(3 if done.counts.quarantined or done.counts.refused else 0)


def _tell(done: Report, lang: str, *, as_json: bool) -> None:
    """Print the report for machines, or on stderr what was held back and why, by the order of reading."""
    if as_json:
        typer.echo(done.to_json())
        return
    language = "en" if lang == "en" else "fr"
    for file in done.files:
        if file.code and file.grade != "pass":
            typer.echo(f"{file.n}: {file.code}: {reasons.message(file.code, language)}", err=True)
    counts = ", ".join(f"{name} {n}" for name, n in dataclasses.asdict(done.counts).items())
    typer.echo(counts, err=True)
