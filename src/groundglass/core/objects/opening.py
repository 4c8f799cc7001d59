"""Which driver a setting names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from groundglass.config import Settings
from groundglass.core.objects.folder import FolderObjects
from groundglass.core.objects.port import Objects
from groundglass.core.objects.s3 import S3Objects
from groundglass.errors import UsageError


def open_objects(settings: Settings) -> Objects:
    """Open the registry's objects: DIR/registry/objects, or what objects.url names (file:///… or s3://bucket/prefix)."""
    if settings.objects.url is None:
        return FolderObjects(settings.registry_dir / "objects")
    url = urlsplit(settings.objects.url)
    if url.scheme == "file" and not url.netloc and url.path.startswith("/"):
        return FolderObjects(Path(unquote(url.path)))
    if url.scheme == "s3" and url.netloc:
        return S3Objects(url.netloc, prefix=url.path.strip("/"), settings=settings.objects)
    raise UsageError("objects.url is file:///folder or s3://bucket/prefix")
