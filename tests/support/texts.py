"""Find every text that users see: `_("…")` in code, `_` and `_n` in templates, and words that nobody marked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
from jinja2.ext import extract_from_ast

SOURCE = Path(__file__).parents[2] / "src" / "groundglass"
# Folder of the texts -> its English. The first is shared: its texts may be used by the others too.
AREAS = {
    SOURCE / "ui": SOURCE / "ui" / "english.toml",
    SOURCE / "web": SOURCE / "web" / "pages" / "english.toml",
    SOURCE / "gateway" / "desk": SOURCE / "gateway" / "desk" / "english.toml",
}
# Names and signs that are the same in both languages.
_SAME = re.compile(r"groundglass|FR|EN|/problems/|[–·().,:;%0-9\s]|&amp;|<!doctype html>|j|k")
_VISIBLE_ATTRIBUTES = re.compile(r'\b(?:alt|aria-label|data-label|placeholder|title)="([^"]*)"')


def used(folder: Path) -> set[str]:
    """Return every marked text of a folder."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        found.update(in_code(path.read_text(encoding="utf-8")))
    for path in folder.rglob("templates/*.html"):
        found.update(in_template(path.read_text(encoding="utf-8")))
    return found


def in_code(source: str) -> Iterator[str]:
    """Yield the argument of each `_("…")`; anything but one plain string there is a fault of the code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            (argument,) = node.args
            assert isinstance(argument, ast.Constant), f"line {node.lineno}: _() marks one plain string"
            yield argument.value


def in_template(source: str) -> Iterator[str]:
    """Yield the texts of `_` and of both forms of `_n`."""
    tree = jinja2.Environment(autoescape=True).parse(source)
    for _line, _function, texts in extract_from_ast(tree, ("_", "_n"), babel_style=False):
        yield from [text for text in (texts if isinstance(texts, tuple) else (texts,)) if text is not None]


def unmarked(source: str) -> list[str]:
    """Return words of a template that stand outside of any `_`."""
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)
    attributes = _VISIBLE_ATTRIBUTES.findall(plain)
    text = re.sub(r"<svg.*?</svg>|<[^>]*>", "\n", plain, flags=re.DOTALL)
    words = [*attributes, *text.splitlines()]
    return [word.strip() for word in words if _SAME.sub("", word).strip()]
