"""Where the objects of a series are: one folder a series, three objects a version, named by the package's hash."""

from __future__ import annotations

PACKAGE, MANIFEST, HEADERS = ".zip", ".json", ".headers.json.gz"


def folder(collection: str, series_instance_uid: str) -> str:
    """Return the prefix of everything of a series."""
    return f"packages/{collection}/{series_instance_uid}"


def key(collection: str, series_instance_uid: str, sha256: str, kind: str) -> str:
    """Return the key of PACKAGE, MANIFEST or HEADERS of the version with this hash (lower-case hex)."""
    return f"{folder(collection, series_instance_uid)}/{sha256}{kind}"
