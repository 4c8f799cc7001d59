"""Write the reference pages that the code knows best: settings and commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import typer.main
from pydantic import BaseModel

from groundglass import cli, config

ROOT = Path(__file__).resolve().parents[1]


def settings_page() -> str:
    """Return docs/reference/settings.md."""
    lines = [
        "# Settings",
        "",
        "<!-- written by make docs -->",
        "DIR/groundglass.toml holds tables; the environment names the same keys as GROUNDGLASS_SECTION__KEY and wins.",
        "Lists are comma-separated there. GROUNDGLASS_DATABASE_URL and GROUNDGLASS_OBJECTS_URL are short names of",
        "registry.database_url and objects.url. Unknown keys are refused.",
        "",
    ]
    for section, field in config.Settings.model_fields.items():
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        lines += [f"## [{section}]", "", (model.__doc__ or "").strip(), "", "| key | default |", "|---|---|"]
        lines += [
            f"| `{key}` | `{value.get_default(call_default_factory=True)}` |"
            for key, value in model.model_fields.items()
        ]
        lines.append("")
    return "\n".join(lines)


def commands_page() -> str:
    """Return docs/reference/commands.md."""
    lines = ["# Commands", "", "<!-- written by make docs -->", (cli.__doc__ or "").strip(), ""]
    lines += _describe(typer.main.get_command(cli.app), "groundglass")
    return "\n".join(lines)


def _describe(command: Any, name: str) -> list[str]:
    if command.hidden:
        return []
    children = getattr(command, "commands", None)
    if children:
        return [line for child, inner in children.items() for line in _describe(inner, f"{name} {child}")]
    lines = [f"## {name}", "", (command.help or "").strip(), ""]
    options = [parameter for parameter in command.params if "--help" not in parameter.opts]
    if options:
        lines += ["| option | |", "|---|---|", *(_option(parameter) for parameter in options), ""]
    return lines


def _option(parameter: Any) -> str:
    names = (
        ", ".join(f"`{name}`" for name in parameter.opts)
        if parameter.param_type_name == "option"
        else (f"`{parameter.metavar or parameter.name}`")
    )
    text = getattr(parameter, "help", None) or ""
    default = parameter.default
    shown = f" (default: {default})" if default not in (None, False, "", []) and not callable(default) else ""
    return f"| {names} | {text}{shown} |"


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    reference = ROOT / "docs" / "reference"
    return {reference / "settings.md": settings_page(), reference / "commands.md": commands_page()}


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        print(os.path.relpath(path, ROOT), file=sys.stderr)


if __name__ == "__main__":
    main()
