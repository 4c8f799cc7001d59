"""Where the real data of others lies, which never enters the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def shared_folder() -> Path:
    """Return ../shared beside the checkout, or what GROUNDGLASS_SHARED names; it may be absent."""
    named = os.environ.get("GROUNDGLASS_SHARED")
    return Path(named) if named else PROJECT.parent / "shared"


def data(*parts: str) -> Path:
    """Return a path below shared/data. Skips the test, with the path that is missing, when it is not there."""
    path = shared_folder().joinpath("data", *parts)
    if not path.exists():
        below = "/".join(("shared/data", *parts))
        pytest.skip(
            f"NOT TESTED ON REAL DATA: {below} is absent (put it beside the checkout or set GROUNDGLASS_SHARED)"
        )
    return path
