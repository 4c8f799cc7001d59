"""The objects of a series as the web serves them: manifest, headers, bytes."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request

from groundglass.core.objects import Objects
from groundglass.errors import NotFoundError, UnavailableError
from groundglass.registry import layout
from groundglass.registry.search import Series
from groundglass.series.manifest import Instance, Manifest

_HELD_INSTANCES: Final = 50_000  # about 50 MB


@dataclass(frozen=True, slots=True)
class Contents:
    """What a package holds, in the manifest's order, and the rank of each SOP Instance UID."""

    instances: tuple[Instance, ...]
    ranks: dict[str, int]


class Held:
    """Manifests that were read lately, by the hash of their package: they never change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[bytes, Contents] = {}
        self._size = 0

    def get(self, sha256: bytes) -> Contents | None:
        """Return what is held, which then is the last to go."""
        with self._lock:
            found = self._held.pop(sha256, None)
            if found is not None:
                self._held[sha256] = found
            return found

    def put(self, sha256: bytes, contents: Contents) -> None:
        """Hold the contents; those not asked for the longest go."""
        with self._lock:
            if sha256 not in self._held:
                self._size += len(contents.instances)
            self._held[sha256] = contents
            while self._size > _HELD_INSTANCES and len(self._held) > 1:
                oldest = next(iter(self._held))
                self._size -= len(self._held.pop(oldest).instances)


def prepare(app: FastAPI, objects: Objects) -> None:
    """Give the application its objects."""
    app.state.objects = objects
    app.state.manifests = Held()


def key(series: Series, kind: str) -> str:
    """Return the key of an object of the current version."""
    return layout.key(series.collection, series.series_instance_uid, series.package_sha256.hex(), kind)


def contents(request: Request, series: Series) -> Contents:
    """Return what the current version holds."""
    held: Held = request.app.state.manifests
    found = held.get(series.package_sha256)
    if found is None:
        instances = Manifest.from_json(_get(request, series, layout.MANIFEST)).instances
        found = Contents(instances, {one.sop_instance_uid: rank for rank, one in enumerate(instances)})
        held.put(series.package_sha256, found)
    return found


def headers_gz(request: Request, series: Series) -> bytes:
    """Return the headers of the series: gzip of a JSON array in the manifest's order."""
    return _get(request, series, layout.HEADERS)


def headers(request: Request, series: Series) -> list[dict[str, Any]]:
    """Return the headers of the series in the manifest's order."""
    found: list[dict[str, Any]] = json.loads(gzip.decompress(headers_gz(request, series)))
    return found


def stream(request: Request, series: Series, offset: int, length: int) -> Iterator[bytes]:
    """Yield bytes of the package."""
    objects: Objects = request.app.state.objects
    with _replaced():
        return objects.stream(key(series, layout.PACKAGE), offset, length)


def _get(request: Request, series: Series, kind: str) -> bytes:
    objects: Objects = request.app.state.objects
    with _replaced():
        return objects.get(key(series, kind))


@contextlib.contextmanager
def _replaced() -> Iterator[None]:
    """A version whose objects are gone was replaced since the index was read: the same request will find the next."""
    try:
        yield
    except NotFoundError:
        raise UnavailableError("the series is being replaced by a newer version: ask again") from None
