"""Documentation that cannot rot: pages that the code writes are up to date, links lead somewhere, nothing foreign."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
FOREIGN = re.compile(r"(?<![\w.])/(?:work|root|home)/|\b(?:deb|pypi)\.(?:\w+\.)?org\b", re.IGNORECASE)


def _generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "tools" / "make_docs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages: dict[Path, str] = module.pages()
    return pages


def test_generated_pages_are_up_to_date() -> None:
    for path, text in _generated().items():
        assert path.read_text(encoding="utf-8") == text.rstrip("\n") + "\n", f"{path.name}: run make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_decision_says_context_decision_and_consequences() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for word in ("Context", "Decision", "Consequences"):
            assert re.search(rf"(\*\*{word}\.?\*\*|^#+ {word})", text, re.MULTILINE), f"{page.name}: {word}"


def test_the_repository_names_no_machine_and_no_registry_host() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in listed:
        path = ROOT / name
        if path == Path(__file__) or path.suffix in {".png", ".gz"} or not path.is_file():
            continue
        found = FOREIGN.search(path.read_text(encoding="utf-8", errors="replace"))
        assert not found, f"{name}: {found and found.group()}"
