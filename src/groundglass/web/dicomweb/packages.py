"""The objects of a series as the web serves them: manifest, headers, bytes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request

from groundglass.core.objects import Objects
from groundglass.registry import layout
from groundglass.registry.search import Series
from groundglass.series.manifest import Manifest


def objects(request: Request) -> Objects:
    """Return where packages are kept."""
    found: Objects = request.app.state.objects
    return found


def key(series: Series, kind: str) -> str:
    """Return the key of an object of the current version."""
    return layout.key(series.collection, series.series_instance_uid, series.package_sha256.hex(), kind)


def manifest(request: Request, series: Series) -> Manifest:
    """Return the manifest of the current version."""
    return Manifest.from_json(objects(request).get(key(series, layout.MANIFEST)))


def headers_gz(request: Request, series: Series) -> bytes:
    """Return the headers of the series: gzip of a JSON array in the manifest's order."""
    return objects(request).get(key(series, layout.HEADERS))


def headers(request: Request, series: Series) -> list[dict[str, Any]]:
    """Return the headers of the series in the manifest's order."""
    found: list[dict[str, Any]] = json.loads(gzip.decompress(headers_gz(request, series)))
    return found


def stream(request: Request, series: Series, offset: int, length: int) -> Iterator[bytes]:
    """Yield bytes of the package."""
    return objects(request).stream(key(series, layout.PACKAGE), offset, length)
