"""QIDO-RS: searching for studies, series and instances (PS3.18 10.6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from groundglass.core.accounts import Account
from groundglass.errors import UsageError
from groundglass.registry import search
from groundglass.registry.search import OneOf, Series
from groundglass.series.manifest import Instance
from groundglass.ui import access
from groundglass.web.dicomweb import answers, packages
from groundglass.web.dicomweb.query import LONGEST_LIST, Level, Query, parse
from groundglass.web.dicomweb.scope import Viewer, checked_uid, scope_of

router = APIRouter()
MEDIA_TYPE: Final = "application/dicom+json"
_MOST_SERIES: Final = 2000  # of one search for instances


@router.get("/studies")
def studies(request: Request, account: Viewer) -> Response:
    """Search for studies."""
    query = _query(request, "study")
    with access.pool(request).connection() as conn:
        found = (
            []
            if query.nothing
            else search.studies(conn, scope_of(account), query.conditions, limit=query.limit + 1, offset=query.offset)
        )
    base = _base(request)
    return _answer([answers.study(one, base) for one in found[: query.limit]], query, more=len(found) > query.limit)


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
    parameters = list(request.query_params.multi_items())
    if study is not None:
        parameters.append(("StudyInstanceUID", checked_uid(study)))
    if series is not None:
        parameters.append(("SeriesInstanceUID", checked_uid(series)))
    return parse(parameters, level)


def _series(request: Request, account: Account, study: str | None) -> Response:
    query = _query(request, "series", study=study)
    found = _matching(request, account, query, limit=query.limit + 1, offset=query.offset)
    base = _base(request)
    shown = [answers.series(one, base, with_study=study is None) for one in found[: query.limit]]
    return _answer(shown, query, more=len(found) > query.limit)


def _matching(request: Request, account: Account, query: Query, *, limit: int, offset: int = 0) -> list[Series]:
    if query.nothing:
        return []
    with access.pool(request).connection() as conn:
        return search.series(conn, scope_of(account), query.conditions, limit=limit, offset=offset)


def _instances(request: Request, account: Account, query: Query) -> Response:
    base, skipped = _base(request), 0
    shown: list[answers.Attributes] = []
    for series in _matching(request, account, query, limit=_MOST_SERIES):
        wanted = [(n, one) for n, one in _ordered(request, series) if _accepted(one, query)]
        extra = packages.headers(request, series) if query.include and wanted else []
        for rank, one in wanted:
            if skipped < query.offset:
                skipped += 1
            elif len(shown) > query.limit:
                break
            else:
                shown.append(_with_fields(answers.instance(one, series, base), extra[rank] if extra else {}, query))
    return _answer(shown[: query.limit], query, more=len(shown) > query.limit)


def _ordered(request: Request, series: Series) -> Iterator[tuple[int, Instance]]:
    """Yield the instances by their number, each with its rank in the manifest."""
    numbered = enumerate(packages.manifest(request, series).instances)
    yield from sorted(numbered, key=lambda pair: (pair[1].instance_number or 0, pair[0]))


def _accepted(one: Instance, query: Query) -> bool:
    values = {
        "00080016": one.sop_class_uid,
        "00080018": one.sop_instance_uid,
        "00200013": str(one.instance_number),
    }
    return all(accepted in (("",), ("*",)) or values[tag] in accepted for tag, accepted in query.instance.items())


def _with_fields(shown: answers.Attributes, header: dict[str, Any], query: Query) -> answers.Attributes:
    if "all" in query.include:
        return {**header, **shown}
    return shown | {tag: header[tag] for tag in query.include if tag in header}


def _base(request: Request) -> str:
    """Return the address of the service as the client reached it, or as the settings tell it."""
    settings = request.app.state.settings
    return (settings.web.public_url or str(request.base_url)).rstrip("/") + "/dicom-web"


def _answer(shown: Iterable[answers.Attributes], query: Query, *, more: bool) -> Response:
    warnings = list(query.warnings)
    if more and query.limit == LONGEST_LIST:
        warnings.append("there are more results: ask with offset")
    headers = {"Warning": ", ".join(f'299 groundglass "{text}"' for text in warnings)} if warnings else {}
    body = json.dumps(list(shown), separators=(",", ":"))
    return Response(body, media_type=MEDIA_TYPE, headers=headers)
