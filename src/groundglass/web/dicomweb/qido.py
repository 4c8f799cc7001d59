"""QIDO-RS: searching for studies, series and instances (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from groundglass.core.accounts import Account
from groundglass.errors import UsageError
from groundglass.registry import search
from groundglass.registry.search import OneOf, Series
from groundglass.series.manifest import Instance
from groundglass.ui import access
from groundglass.web.dicomweb import answers, media, packages, reads
from groundglass.web.dicomweb.answers import Attributes
from groundglass.web.dicomweb.query import Level, Query, parse
from groundglass.web.dicomweb.scope import Viewer, checked_uid, scope_of

router = APIRouter()
_MOST_SERIES: Final = 2000  # of one search for instances


@router.get("/studies")
def studies(request: Request, account: Viewer) -> Response:
    """Search for studies."""
    query = _query(request, "study")
    found = []
    with access.pool(request).connection() as conn:
        reads.of_index(request, conn, account)
        if not query.nothing:
            found = search.studies(
                conn, scope_of(account), query.conditions, limit=query.limit + 1, offset=query.offset
            )
    base = _base(request)
    return _answer((answers.study(one, base) for one in found), query)


@router.get("/series")
def all_series(request: Request, account: Viewer) -> Response:
    """Search for series of all studies."""
    return _series(request, account, None)


@router.get("/studies/{study}/series")
def series(request: Request, study: str, account: Viewer) -> Response:
    """Search for series of a study."""
    return _series(request, account, study)


@router.get("/instances")
def all_instances(request: Request, account: Viewer) -> Response:
    """Search for instances; the query must name a study or a series."""
    query = _query(request, "instance")
    named = {condition.column for condition in query.conditions if isinstance(condition, OneOf)}
    if not named & {"study_instance_uid", "series_instance_uid"}:
        raise UsageError("a search for instances names a study or a series, in its path or in its query")
    return _instances(request, account, query)


@router.get("/studies/{study}/instances")
def instances_of_study(request: Request, study: str, account: Viewer) -> Response:
    """Search for instances of a study."""
    return _instances(request, account, _query(request, "instance", study=study))


@router.get("/studies/{study}/series/{series}/instances")
def instances(request: Request, study: str, series: str, account: Viewer) -> Response:
    """Search for instances of a series."""
    return _instances(request, account, _query(request, "instance", study=study, series=series))


def _query(request: Request, level: Level, *, study: str | None = None, series: str | None = None) -> Query:
    media.must_accept_json(request)
    parameters = [(name, value) for name, value in request.query_params.multi_items() if name != "accept"]
    if study is not None:
        parameters.append(("StudyInstanceUID", checked_uid(study)))
    if series is not None:
        parameters.append(("SeriesInstanceUID", checked_uid(series)))
    return parse(parameters, level)


def _series(request: Request, account: Account, study: str | None) -> Response:
    query = _query(request, "series", study=study)
    found = _matching(request, account, query, limit=query.limit + 1, offset=query.offset)
    base = _base(request)
    return _answer((answers.series(one, base, with_study=study is None) for one in found), query)


def _matching(request: Request, account: Account, query: Query, *, limit: int, offset: int = 0) -> list[Series]:
    with access.pool(request).connection() as conn:
        reads.of_index(request, conn, account)
        if query.nothing:
            return []
        return search.series(conn, scope_of(account), query.conditions, limit=limit, offset=offset)


def _instances(request: Request, account: Account, query: Query) -> Response:
    found = _matching(request, account, query, limit=_MOST_SERIES)
    return _answer(_shown(request, found, query), query)


def _shown(request: Request, found: Iterable[Series], query: Query) -> Iterator[Attributes]:
    """Yield the matching instances from the offset on; the packages of series before it are not read."""
    base, to_skip = _base(request), query.offset
    for series in found:
        if not query.instance and to_skip >= series.instances:
            to_skip -= series.instances
            continue
        wanted = [(rank, one) for rank, one in _ordered(request, series) if _accepted(one, query)]
        headers = packages.headers(request, series) if query.include and len(wanted) > to_skip else []
        for rank, one in wanted[to_skip:]:
            shown = answers.instance(one, series, base)
            yield answers.with_fields(shown, headers[rank], query.include) if headers else shown
        to_skip = max(0, to_skip - len(wanted))


def _ordered(request: Request, series: Series) -> list[tuple[int, Instance]]:
    """Return the instances by their number, each with its rank in the manifest."""
    numbered = enumerate(packages.contents(request, series).instances)
    return sorted(numbered, key=lambda pair: (pair[1].instance_number or 0, pair[0]))


def _accepted(one: Instance, query: Query) -> bool:
    values = {
        "00080016": one.sop_class_uid,
        "00080018": one.sop_instance_uid,
        "00200013": str(one.instance_number),
    }
    return all(values[tag] in accepted for tag, accepted in query.instance.items())


def _base(request: Request) -> str:
    """Return the address of the service as the client reached it, or as the settings tell it."""
    settings = request.app.state.settings
    return (settings.web.public_url or str(request.base_url)).rstrip("/") + "/dicom-web"


def _answer(found: Iterable[Attributes], query: Query) -> Response:
    """Answer with as many results as the limit allows, and tell when there are more."""
    results = iter(found)
    body = answers.body(islice(results, query.limit))
    warnings = list(query.warnings)
    if next(results, None) is not None:
        warnings.append("There are additional results that can be requested")
    headers = {"Warning": ", ".join(f'299 groundglass "{text}"' for text in warnings)} if warnings else {}
    return Response(body, media_type=media.JSON, headers=headers)
