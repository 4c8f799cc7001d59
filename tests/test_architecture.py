"""What import-linter cannot say: the verifier stands alone, the pure packages are pure, files stay small."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "src" / "groundglass"
SOURCES = sorted(ROOT.rglob("*.py"))
PURE = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in {"deid", "series"}]
OUTSIDE = {"time", "random", "secrets", "socket", "subprocess", "threading", "psycopg", "httpx", "numpy", "sqlite3"}


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_the_verifier_shares_nothing_with_the_de_identifier() -> None:
    files = [path for path in PURE if "verify" in path.relative_to(ROOT).as_posix()]
    assert files
    for path in files:
        ours = {name for name in _imports(path) if name.startswith("groundglass.")}
        foreign = {name for name in ours if "verify" not in name and not name.startswith("groundglass.errors")}
        assert not foreign - {"groundglass.deid"}, f"{path.name} imports {sorted(foreign)}"


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pure_packages_have_no_clock_no_chance_and_no_network(path: Path) -> None:
    assert not {name.split(".")[0] for name in _imports(path)} & OUTSIDE


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_fit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "a file is one idea: over 400 lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is over 60 lines"
