"""Conditional and partial requests (RFC 9110 13, 14)."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from groundglass.errors import GroundglassError

_GZIP: Final = re.compile(
    r"(?:^|,)\s*(?:x-)?(?:gzip|\*)\s*(?:;\s*q=([0-9.]{1,5})\s*)?(?=,|$)", re.ASCII | re.IGNORECASE
)
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class RangeNotSatisfiableError(GroundglassError):
    """The range lies beyond the end."""

    http_status = 416
    slug = "range-not-satisfiable"


def cached(request: Request, tag: str) -> Response | None:
    """Return 304 when the client holds this version already."""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "")[:4096].split(",")]
    if f'"{tag}"' in known or known == ["*"]:
        return Response(status_code=304, headers={"ETag": f'"{tag}"'})
    return None


def accepts_gzip(request: Request) -> bool:
    """Whether the client takes a body in gzip (RFC 9110 12.5.3)."""
    found = _GZIP.search(request.headers.get("accept-encoding", "")[:1024])
    return found is not None and (found[1] or "1").strip("0.") != ""


def byte_range(request: Request, tag: str, size: int) -> tuple[int, int] | None:
    """Return (offset, length) of the one range that is asked for, None when all is to be sent.

    Several ranges, and a form that is not understood, are answered with all, as RFC 9110 allows. Raises
    RangeNotSatisfiableError.
    """
    found = _RANGE.fullmatch(request.headers.get("range", "").strip()[:64])
    unchanged = request.headers.get("if-range", f'"{tag}"') == f'"{tag}"'
    if not found or not unchanged or not (found[1] or found[2]):
        return None
    if not found[1]:
        first, last = max(0, size - int(found[2])), size - 1
        if found[2].strip("0") == "":
            raise RangeNotSatisfiableError("the range is empty")
    else:
        first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    if first >= size:
        raise RangeNotSatisfiableError("the range begins behind the end")
    return (first, last - first + 1) if last >= first else None
