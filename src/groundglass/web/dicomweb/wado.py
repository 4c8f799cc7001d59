"""WADO-RS: instances, frames and metadata as they are stored (PS3.18 10.4); nothing is transcoded."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from groundglass.core.accounts import Account
from groundglass.errors import NotFoundError, UsageError
from groundglass.registry.search import Series
from groundglass.series.manifest import Instance
from groundglass.web.dicomweb import media, multipart, packages
from groundglass.web.dicomweb.multipart import Open, Part
from groundglass.web.dicomweb.scope import Viewer, absent, readable
from groundglass.web.etags import accepts_gzip, cached

router = APIRouter()
_FRAMES: Final = re.compile(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5}){0,999}", re.ASCII)
_VARY: Final = "Accept, Accept-Encoding, Authorization, Cookie"
_STUDY: Final = "/studies/{study}"
_SERIES: Final = "/studies/{study}/series/{series}"
_INSTANCE: Final = "/studies/{study}/series/{series}/instances/{instance}"


@router.get(_STUDY)
@router.head(_STUDY, include_in_schema=False)
def retrieve_study(request: Request, study: str, account: Viewer) -> Response:
    """Retrieve every instance of a study."""
    return _files(request, readable(request, account, study))


@router.get(_SERIES)
@router.head(_SERIES, include_in_schema=False)
def retrieve_series(request: Request, study: str, series: str, account: Viewer) -> Response:
    """Retrieve every instance of a series."""
    return _files(request, readable(request, account, study, series))


@router.get(_INSTANCE)
@router.head(_INSTANCE, include_in_schema=False)
def retrieve_instance(request: Request, study: str, series: str, instance: str, account: Viewer) -> Response:
    """Retrieve one instance, as a part or, for those who ask for application/dicom alone, by itself."""
    found, one = _instance(request, account, study, series, instance)
    _, fitting = media.choose(request, [media.DICOM], [one.transfer_syntax_uid])
    answer = multipart.answer(
        request, [_file(_reader(request, found), found, one)], kind=media.DICOM, alone=fitting.alone
    )
    if fitting.alone:
        answer.headers["Content-Disposition"] = f'attachment; filename="{instance}.dcm"'
    return answer


@router.get(_INSTANCE + "/frames/{frames}")
@router.head(_INSTANCE + "/frames/{frames}", include_in_schema=False)
def retrieve_frames(request: Request, study: str, series: str, instance: str, frames: str, account: Viewer) -> Response:
    """Retrieve frames by their numbers, from 1, read by range."""
    if not _FRAMES.fullmatch(frames):
        raise UsageError("frames are numbers from 1, with commas between them")
    found, one = _instance(request, account, study, series, instance)
    kind, fitting = media.choose(request, media.frame_types(one.transfer_syntax_uid), [one.transfer_syntax_uid])
    read = _reader(request, found)
    try:
        parts = [_frame(read, found, one, int(number), kind) for number in frames.split(",")]
    except IndexError:
        raise absent(account) from None
    return multipart.answer(request, parts, kind=kind, alone=fitting.alone and len(parts) == 1)


@router.get(_STUDY + "/metadata")
@router.head(_STUDY + "/metadata", include_in_schema=False)
def study_metadata(request: Request, study: str, account: Viewer) -> Response:
    """Give the headers of a study, compressed if the client takes that."""
    found = readable(request, account, study)
    tag = hashlib.sha256(b"".join(one.package_sha256 for one in found)).hexdigest()

    def body() -> bytes:
        return _joined(gzip.decompress(packages.headers_gz(request, one)) for one in found)

    if accepts_gzip(request):
        return _metadata(request, f"{tag}-gzip", lambda: _compressed(body()), encoding="gzip")
    return _metadata(request, tag, body)


@router.get(_SERIES + "/metadata")
@router.head(_SERIES + "/metadata", include_in_schema=False)
def series_metadata(request: Request, study: str, series: str, account: Viewer) -> Response:
    """Give the headers of a series as they were written at archiving, compressed if the client takes that."""
    (found,) = readable(request, account, study, series)
    tag = found.package_sha256.hex()
    if accepts_gzip(request):
        return _metadata(request, f"{tag}-gzip", lambda: packages.headers_gz(request, found), encoding="gzip")
    return _metadata(request, tag, lambda: gzip.decompress(packages.headers_gz(request, found)))


@router.get(_INSTANCE + "/metadata")
@router.head(_INSTANCE + "/metadata", include_in_schema=False)
def instance_metadata(request: Request, study: str, series: str, instance: str, account: Viewer) -> Response:
    """Give the header of an instance."""
    found, one = _instance(request, account, study, series, instance)
    rank = packages.contents(request, found).ranks[instance]
    return _metadata(request, one.sha256, lambda: _dumped([packages.headers(request, found)[rank]]))


@router.get(_INSTANCE + "/bulkdata/{path:path}")
@router.head(_INSTANCE + "/bulkdata/{path:path}", include_in_schema=False)
def bulk_data(request: Request, study: str, series: str, instance: str, path: str, account: Viewer) -> Response:
    """Tell that there is none: metadata carry every value but the pixels, which are frames."""
    del path
    _instance(request, account, study, series, instance)
    raise NotFoundError("there is no bulk data: pixels are served as frames")


def _instance(request: Request, account: Account, study: str, series: str, uid: str) -> tuple[Series, Instance]:
    (found,) = readable(request, account, study, series, uid)
    held = packages.contents(request, found)
    rank = held.ranks.get(uid)
    if rank is None:
        raise absent(account)
    return found, held.instances[rank]


def _files(request: Request, found: Iterable[Series]) -> Response:
    parts: list[Part] = []
    syntaxes: set[str] = set()
    for series in found:
        read = _reader(request, series)
        instances = packages.contents(request, series).instances
        parts += [_file(read, series, one) for one in instances]
        syntaxes.update(one.transfer_syntax_uid for one in instances)
    media.choose(request, [media.DICOM], syntaxes)
    return multipart.answer(request, parts, kind=media.DICOM)


def _reader(request: Request, series: Series) -> Open:
    return lambda offset, length: packages.stream(request, series, offset, length)


def _file(read: Open, series: Series, one: Instance) -> Part:
    content_type = f"{media.DICOM}; transfer-syntax={one.transfer_syntax_uid}"
    return Part(content_type, _location(series, one), one.sha256, read, ((one.offset, one.length),))


def _frame(read: Open, series: Series, one: Instance, number: int, kind: str) -> Part:
    content_type = f"{kind}; transfer-syntax={one.transfer_syntax_uid}"
    location = f"{_location(series, one)}/frames/{number}"
    return Part(content_type, location, one.sha256, read, one.frame_ranges(number))


def _location(series: Series, one: Instance) -> str:
    study, uid = series.study.study_instance_uid, series.series_instance_uid
    return f"/dicom-web/studies/{study}/series/{uid}/instances/{one.sop_instance_uid}"


def _metadata(request: Request, tag: str, body: Callable[[], bytes], *, encoding: str | None = None) -> Response:
    media.must_accept_json(request)
    headers = {"ETag": f'"{tag}"', "Vary": _VARY} | ({"Content-Encoding": encoding} if encoding else {})
    if (unchanged := cached(request, tag)) is not None:
        unchanged.headers["Vary"] = _VARY
        return unchanged
    return Response(body(), media_type=media.JSON, headers=headers)


def _compressed(data: bytes) -> bytes:
    """Return gzip of headers: they repeat so much that the quickest level takes them to a twentieth."""
    return gzip.compress(data, compresslevel=1, mtime=0)


def _dumped(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _joined(arrays: Iterator[bytes]) -> bytes:
    """Join JSON arrays without reading them."""
    return b"[" + b",".join(inner for array in arrays if (inner := array.strip()[1:-1])) + b"]"
