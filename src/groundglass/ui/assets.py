"""Style sheets and modules, held in memory and named by their content, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from groundglass.errors import NotFoundError
from groundglass.ui.access import public

_FOLDER: Final = Path(__file__).with_name("static")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEPT: Final = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _Asset:
    address: str
    media_type: str
    content: bytes


def address(name: str) -> str:
    """Return the address of a static file by its plain name; KeyError for an unknown one."""
    return _assets()[name].address


@router.api_route("/static/{name}", methods=["GET", "HEAD"], dependencies=[Depends(public())])
def static(name: str) -> Response:
    """Serve one file by its hashed name only: an old name is gone, never another content."""
    found = _by_address().get(f"/static/{name}")
    if found is None:
        raise NotFoundError
    return Response(found.content, media_type=found.media_type, headers={"Cache-Control": _KEPT})


@cache
def _assets() -> dict[str, _Asset]:
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:16]
        found[path.name] = _Asset(f"/static/{path.stem}.{digest}{path.suffix}", _TYPES[path.suffix], content)
    return found


@cache
def _by_address() -> dict[str, _Asset]:
    return {asset.address: asset for asset in _assets().values()}
