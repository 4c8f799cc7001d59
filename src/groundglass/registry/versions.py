"""The next version of a series as a file, and its three objects in the store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from groundglass.config import Settings
from groundglass.core.failpoint import failpoint
from groundglass.core.objects import Objects
from groundglass.registry import inbox, layout
from groundglass.registry.index import Current
from groundglass.registry.inspection import RefusedPackageError
from groundglass.series import package
from groundglass.series.headers import headers_gz
from groundglass.series.manifest import Manifest
from groundglass.series.package import InvalidPackageError, UidConflictError


@dataclass(frozen=True, slots=True)
class Version:
    """A finished package on this machine."""

    path: Path
    manifest: Manifest


@contextlib.contextmanager
def following(settings: Settings, objects: Objects, before: Current, part: Version) -> Iterator[Version | None]:
    """Yield the version that holds what is archived and the part; None when the part has nothing new.

    Its file goes away afterwards. Raises RefusedPackageError("uid_conflict") when one UID names two objects.
    """
    manifest = part.manifest
    at = layout.key(before.collection, manifest.series_instance_uid, before.sha256, layout.MANIFEST)
    known = Manifest.from_json(objects.get(at))
    try:
        if not package.new_in(known, manifest):
            yield None
            return
    except UidConflictError:
        raise RefusedPackageError("uid_conflict") from None
    except InvalidPackageError:
        raise RefusedPackageError("wrong_subject") from None
    merged = inbox.incoming(settings, f"{manifest.sha256}.{os.getpid()}.merged")
    try:
        with contextlib.ExitStack() as stack:
            stored = stack.enter_context(_stored(settings, objects, before, known))
            base, added = (stack.enter_context(path.open("rb")) for path in (stored, part.path))
            out = stack.enter_context(merged.open("wb", buffering=0))
            result = package.merge((base.fileno(), known), (added.fileno(), manifest), out)
        yield Version(merged, result)
    finally:
        merged.unlink(missing_ok=True)


def put(objects: Objects, version: Version, *, collection: str) -> None:
    """Put package, manifest and headers, durably; a repeat writes the same bytes."""
    manifest, keys = version.manifest, _keys(version, collection)
    objects.put_file(keys[layout.PACKAGE], version.path)
    failpoint("package-put")
    objects.put_bytes(keys[layout.MANIFEST], manifest.to_json())
    failpoint("manifest-put")
    with version.path.open("rb") as file:
        objects.put_bytes(keys[layout.HEADERS], headers_gz(file.fileno(), manifest))
    failpoint("headers-put")


def drop(objects: Objects, version: Version, *, collection: str) -> None:
    """Remove the objects of a version that is not committed. The caller holds the lock of the series."""
    for key in _keys(version, collection).values():
        objects.delete(key)


def _keys(version: Version, collection: str) -> dict[str, str]:
    manifest = version.manifest
    return {
        kind: layout.key(collection, manifest.series_instance_uid, manifest.sha256, kind)
        for kind in (layout.PACKAGE, layout.MANIFEST, layout.HEADERS)
    }


@contextlib.contextmanager
def _stored(settings: Settings, objects: Objects, before: Current, known: Manifest) -> Iterator[Path]:
    """Yield the current package as a file of this machine: where it lies, or a copy for the time of the call."""
    key = layout.key(before.collection, known.series_instance_uid, before.sha256, layout.PACKAGE)
    if (local := objects.local_path(key)) is not None:
        yield local
        return
    copy = inbox.incoming(settings, f"{before.sha256}.{os.getpid()}.current")
    try:
        with copy.open("wb") as out:
            for piece in objects.stream(key):
                out.write(piece)
        yield copy
    finally:
        copy.unlink(missing_ok=True)
