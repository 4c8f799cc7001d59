"""Whether the registry lives, whether it can work, and its figures for Prometheus. No label names anybody."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Depends
from psycopg import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from groundglass.ui import access
from groundglass.web.pages.ledger import reports

router = APIRouter(include_in_schema=False)

_TEXT_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"
_DATABASE_SECONDS: Final = 2.0
_TOTALS: Final = """
SELECT count(*), coalesce(sum(series_count), 0)::bigint, coalesce(sum(instance_count), 0)::bigint,
       coalesce(sum(bytes), 0)::bigint FROM study
"""
_SILENCE: Final = "SELECT extract(epoch FROM now() - min(reported_at))::float8 FROM gateway_ledger"
_HELP: Final = {
    "groundglass_studies": "Studies archived",
    "groundglass_series": "Series archived",
    "groundglass_instances": "Instances archived",
    "groundglass_archived_bytes": "Bytes of the archived packages",
    "groundglass_gateways": "Gateways that have reported",
    "groundglass_ledger_imbalance": "Instances that the gateways' accounts cannot place; 0 when all balance",
    "groundglass_gateway_silent_seconds": "Age of the oldest last report of a gateway",
    "groundglass_csp_reports": "Breaches of the content policy that browsers reported to this process",
}


@router.api_route("/healthz", methods=["GET", "HEAD"], dependencies=[Depends(access.public())])
def alive() -> Response:
    """Answer while the process lives."""
    return JSONResponse({"status": "ok"})


@router.api_route("/readyz", methods=["GET", "HEAD"], dependencies=[Depends(access.public())])
def ready(request: Request) -> Response:
    """Answer when the database answers; 503 as a problem else."""
    with access.pool(request).connection(timeout=_DATABASE_SECONDS) as conn:
        conn.execute("SELECT 1")
    return JSONResponse({"status": "ready"})


@router.get("/metrics", dependencies=[Depends(access.nearby("admin", "auditor"))])
def metrics(request: Request) -> Response:
    """Give the figures in the Prometheus text format, to this machine or to an account that may see them."""
    with access.pool(request).connection(timeout=_DATABASE_SECONDS) as conn:
        values = figures(conn)
    values["groundglass_csp_reports"] = request.app.state.csp_reports
    return PlainTextResponse(exposition(values), media_type=_TEXT_FORMAT)


def figures(conn: Connection[tuple[Any, ...]]) -> dict[str, float]:
    """Return the figures that the database knows."""
    totals = conn.execute(_TOTALS).fetchone() or (0, 0, 0, 0)
    silence = conn.execute(_SILENCE).fetchone() or (None,)
    told = reports(conn)
    return {
        **dict(zip(list(_HELP)[:4], totals, strict=True)),
        "groundglass_gateways": len(told),
        "groundglass_ledger_imbalance": sum(abs(report.view.total.gap) for report in told),
        "groundglass_gateway_silent_seconds": silence[0] or 0.0,
    }


def exposition(values: dict[str, float]) -> str:
    """Write figures of `_HELP` as gauges."""
    lines = []
    for name, value in values.items():
        lines += [f"# HELP {name} {_HELP[name]}.", f"# TYPE {name} gauge", f"{name} {value:.15g}"]
    return "\n".join(lines) + "\n"
