"""The page docs/reference/http.md names every route of the programs' doors."""

from __future__ import annotations

import re
from pathlib import Path

from groundglass.config import Settings
from groundglass.web.app import create_app
from groundglass.web.dicomweb.query import LONGEST_LIST
from support.routes import rights

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "http.md"


def test_every_route_of_programs_is_described(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    routes = [
        path for _, path in rights(create_app(Settings(data=tmp_path))) if path.startswith(("/dicom-web", "/api/"))
    ]
    assert len(routes) > 20
    for path in routes:
        plain = path.replace(":path", "")
        shortened = re.sub(r"^/dicom-web/studies/{study}(/series/{series}(?=/inst))?", "…", plain)
        endings = (
            plain,
            shortened,
            "…" + plain.removeprefix("/dicom-web"),
            re.sub(r"^.*(?=/series/|/instances/)", "…", plain),
        )
        assert any(f"{ending}`" in text or f"{ending}?" in text for ending in endings), path


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"at most {LONGEST_LIST} results" in PAGE.read_text(encoding="utf-8")
