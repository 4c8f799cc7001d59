"""A browser and the applications of both zones on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from groundglass.config import Settings
from support.chromium import Chromium
from support.pages import APPS
from support.serving import serving


@pytest.fixture
def browser() -> Iterator[Chromium]:
    with Chromium() as opened:
        yield opened


@pytest.fixture
def registry_url(settings: Settings) -> Iterator[str]:
    with serving(APPS["registry"](settings)) as url:
        yield url


@pytest.fixture
def desk_url(settings: Settings) -> Iterator[str]:
    with serving(APPS["gateway"](settings)) as url:
        yield url
