"""WADO-RS: instances, frames and metadata as they are stored (PS3.18 10.4); nothing is transcoded."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from groundglass.core.accounts import Account
from groundglass.errors import UsageError
from groundglass.registry.search import Series
from groundglass.series.manifest import Instance
from groundglass.ui import access
from groundglass.web.dicomweb import media, packages
from groundglass.web.dicomweb.media import Part
from groundglass.web.dicomweb.qido import MEDIA_TYPE
from groundglass.web.dicomweb.scope import Viewer, absent, checked_uid, found_series, record_read
from groundglass.web.etags import cached

router = APIRouter()
_FRAMES: Final = re.compile(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5}){0,999}", re.ASCII)


@router.get("/studies/{study}")
@router.head("/studies/{study}", include_in_schema=False)
def retrieve_study(request: Request, study: str, account: Viewer) -> Response:
    """Retrieve every instance of a study."""
    return _retrieve(request, _readable(request, account, study))


@router.get("/studies/{study}/series/{series}")
@router.head("/studies/{study}/series/{series}", include_in_schema=False)
def retrieve_series(request: Request, study: str, series: str, account: Viewer) -> Response:
    """Retrieve every instance of a series."""
    return _retrieve(request, _readable(request, account, study, series))


@router.get("/studies/{study}/series/{series}/instances/{instance}")
@router.head("/studies/{study}/series/{series}/instances/{instance}", include_in_schema=False)
def retrieve_instance(request: Request, study: str, series: str, instance: str, account: Viewer) -> Response:
    """Retrieve one instance, as a part or, for those who ask for application/dicom alone, by itself."""
    (found,) = _readable(request, account, study, series)
    one = _instance(request, account, found, instance)
    media.must_accept(request, [media.DICOM], one.transfer_syntax_uid)
    part = _file(request, found, one)
    if not media.wants_single(request):
        return media.multipart([part], inner=media.DICOM, body=request.method == "GET")
    headers = {"Content-Length": str(part.length), "Content-Disposition": f'attachment; filename="{instance}.dcm"'}
    content = part.content if request.method == "GET" else iter(())
    return StreamingResponse(content, headers=headers, media_type=part.content_type)


@router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}")
@router.head("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", include_in_schema=False)
def retrieve_frames(request: Request, study: str, series: str, instance: str, frames: str, account: Viewer) -> Response:
    """Retrieve frames by their numbers, from 1, read by range."""
    if not _FRAMES.fullmatch(frames):
        raise UsageError("frames are numbers from 1, with commas between them")
    (found,) = _readable(request, account, study, series)
    one = _instance(request, account, found, instance)
    kind = media.frame_type(one.transfer_syntax_uid)
    media.must_accept(request, [kind, media.OCTETS], one.transfer_syntax_uid)
    try:
        parts = [_frame(request, found, one, int(number)) for number in frames.split(",")]
    except IndexError:
        raise absent(account) from None
    return media.multipart(parts, inner=kind, body=request.method == "GET")


@router.get("/studies/{study}/metadata")
@router.head("/studies/{study}/metadata", include_in_schema=False)
def study_metadata(request: Request, study: str, account: Viewer) -> Response:
    """Give the headers of a study."""
    found = _readable(request, account, study)
    tag = "-".join(one.package_sha256.hex()[:16] for one in found)
    return _metadata(request, tag, lambda: _joined(gzip.decompress(packages.headers_gz(request, one)) for one in found))


@router.get("/studies/{study}/series/{series}/metadata")
@router.head("/studies/{study}/series/{series}/metadata", include_in_schema=False)
def series_metadata(request: Request, study: str, series: str, account: Viewer) -> Response:
    """Give the headers of a series as they were written at archiving."""
    (found,) = _readable(request, account, study, series)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return _metadata(
            request, found.package_sha256.hex(), lambda: gzip.decompress(packages.headers_gz(request, found))
        )
    answer = _metadata(request, f"{found.package_sha256.hex()}-gzip", lambda: packages.headers_gz(request, found))
    answer.headers["Content-Encoding"] = "gzip"
    return answer


@router.get("/studies/{study}/series/{series}/instances/{instance}/metadata")
@router.head("/studies/{study}/series/{series}/instances/{instance}/metadata", include_in_schema=False)
def instance_metadata(request: Request, study: str, series: str, instance: str, account: Viewer) -> Response:
    """Give the header of an instance."""
    (found,) = _readable(request, account, study, series)
    one = _instance(request, account, found, instance)

    def body() -> bytes:
        rank = [each.sop_instance_uid for each in packages.manifest(request, found).instances].index(
            one.sop_instance_uid
        )
        return json.dumps([packages.headers(request, found)[rank]], separators=(",", ":")).encode()

    return _metadata(request, one.sha256, body)


def _readable(request: Request, account: Account, study: str, series: str | None = None) -> list[Series]:
    """Return what is to be read, after writing into the audit log that it is."""
    with access.pool(request).connection() as conn:
        found = found_series(conn, account, study, series)
        record_read(request, conn, account, found)
    return found


def _instance(request: Request, account: Account, series: Series, uid: str) -> Instance:
    checked_uid(uid)
    for one in packages.manifest(request, series).instances:
        if one.sop_instance_uid == uid:
            return one
    raise absent(account)


def _retrieve(request: Request, found: list[Series]) -> Response:
    parts = []
    for series in found:
        for one in packages.manifest(request, series).instances:
            media.must_accept(request, [media.DICOM], one.transfer_syntax_uid)
            parts.append(_file(request, series, one))
    return media.multipart(parts, inner=media.DICOM, body=request.method == "GET")


def _file(request: Request, series: Series, one: Instance) -> Part:
    content_type = f"{media.DICOM}; transfer-syntax={one.transfer_syntax_uid}"
    content = _Later(lambda: packages.stream(request, series, one.offset, one.length))
    return Part(content_type, _location(series, one), one.length, content)


def _frame(request: Request, series: Series, one: Instance, number: int) -> Part:
    ranges = one.frame_ranges(number)
    content_type = f"{media.frame_type(one.transfer_syntax_uid)}; transfer-syntax={one.transfer_syntax_uid}"
    content = _Later(lambda: chain.from_iterable(packages.stream(request, series, *each) for each in ranges))
    location = f"{_location(series, one)}/frames/{number}"
    return Part(content_type, location, sum(length for _, length in ranges), content)


class _Later:
    """Bytes that are opened when their turn comes, so that a long answer holds one file open."""

    def __init__(self, start: Callable[[], Iterator[bytes]]) -> None:
        self._start = start

    def __iter__(self) -> Iterator[bytes]:
        return self._start()


def _location(series: Series, one: Instance) -> str:
    study, uid = series.study.study_instance_uid, series.series_instance_uid
    return f"/dicom-web/studies/{study}/series/{uid}/instances/{one.sop_instance_uid}"


def _metadata(request: Request, tag: str, body: Callable[[], bytes]) -> Response:
    return cached(request, tag) or Response(
        body(), media_type=MEDIA_TYPE, headers={"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", "Vary": _VARY}
    )


_VARY: Final = "Accept-Encoding, Authorization, Cookie"


def _joined(arrays: Iterator[bytes] | Any) -> bytes:
    """Join JSON arrays without reading them."""
    return b"[" + b",".join(inner for array in arrays if (inner := array.strip()[1:-1])) + b"]"
