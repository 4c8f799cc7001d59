"""Applications of both zones on test databases, accounts to open them, and rows to show."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import psycopg

from groundglass.config import Settings
from groundglass.core import accounts
from groundglass.gateway.desk.app import create_app as desk_app
from groundglass.web.app import create_app as registry_app
from support.serving import serving

STUDY = "2.25.100000000000000000000000000000000{n}"
NOON = datetime(2020, 4, 1, 10, 5, tzinfo=UTC)


APPS = {"registry": registry_app, "gateway": desk_app}


@contextlib.contextmanager
def client(settings: Settings, zone: str) -> Iterator[httpx.Client]:
    """A client of one zone that asks for pages and follows no redirect."""
    with (
        serving(APPS[zone](settings)) as url,
        httpx.Client(base_url=url, headers={"accept": "text/html"}, trust_env=False) as opened,
    ):
        yield opened


def token(conn: psycopg.Connection, role: str, zone: str = "registry", centre: str | None = None) -> str:
    """A bearer token, committed."""
    made = accounts.issue_token(conn, role=role, zone=zone, centre=centre)
    conn.commit()
    return made


def bearer(conn: psycopg.Connection, role: str, zone: str = "registry", centre: str | None = None) -> dict[str, str]:
    """The header of a new token."""
    return {"authorization": f"Bearer {token(conn, role, zone, centre)}"}


def add_study(conn: psycopg.Connection, n: int, *, text: str = "CT chest", centre: str = "NORD", **more: object) -> str:
    """One study with one series; returns its UID."""
    accounts.ensure_centre(conn, centre)
    uid = str(more.get("uid", STUDY.format(n=n)))
    row = conn.execute(
        "INSERT INTO study (study_instance_uid, collection, centre, patient_id, patient_sex, patient_age, study_date,"
        " study_description, modalities, series_count, instance_count, bytes, archived_at)"
        " VALUES (%s, 'fidac', %s, %s, %s, '064Y', %s, %s, %s, 1, %s, %s, %s) RETURNING id",
        (
            uid,
            centre,
            more.get("patient_id", f"P{n:06}"),
            more.get("sex", "FM"[n % 2]),
            more.get("day", (NOON - timedelta(days=n)).date()),
            text,
            [str(more.get("modality", "CT"))],
            400 + n,
            (400 + n) * 525_000,
            NOON - timedelta(hours=n),
        ),
    ).fetchone()
    assert row
    conn.execute(
        "INSERT INTO series (series_instance_uid, study_id, modality, series_number, series_description, instances,"
        " bytes, version, package_sha256) VALUES (%s, %s, %s, 2, %s, %s, %s, 1, %s)",
        (f"{uid}.2", row[0], more.get("modality", "CT"), text, 400 + n, (400 + n) * 525_000, n.to_bytes(32, "big")),
    )
    return uid


def add_report(conn: psycopg.Connection, account: str, centre: str, senders: dict[str, dict[str, object]]) -> None:
    """What a gateway told of itself."""
    names = ("received", "archived", "quarantined", "duplicates", "pending", "withdrawn")
    total: dict[str, object] = {name: sum(int(str(c.get(name, 0))) for c in senders.values()) for name in names}
    total["reasons"] = {}
    for counts in senders.values():
        for code, n in dict(counts.get("reasons", {})).items():  # type: ignore[call-overload]
            total["reasons"][code] = total["reasons"].get(code, 0) + n  # type: ignore[attr-defined, index]
    conn.execute(
        "INSERT INTO gateway_ledger (account, centre, reported_at, ledger) VALUES (%s, %s, %s, %s)",
        (account, centre, NOON, json.dumps({"total": total, "senders": senders})),
    )


def add_held(
    conn: psycopg.Connection, number: int, *, code: str, sender: str = "CT_NORD", centre: str = "NORD"
) -> None:
    """One intake with one image in quarantine."""
    conn.execute("INSERT INTO segment (id, registered, removed_at) VALUES (1, 0, now()) ON CONFLICT DO NOTHING")
    row = conn.execute(
        "INSERT INTO intake (series_token, collection, centre, state, done_at) VALUES (%s, 'fidac', %s, 'done', now())"
        " RETURNING id",
        (number.to_bytes(32, "big"), centre),
    ).fetchone()
    assert row
    conn.execute(
        "INSERT INTO intake_part (intake_id, series_token, sender, centre, segment, n) VALUES (%s, %s, %s, %s, 1, 1)",
        (row[0], number.to_bytes(32, "big"), sender, centre),
    )
    conn.execute(
        "INSERT INTO outcome (intake_id, sender, kind, code, n) VALUES (%s, %s, 'quarantined', %s, 1)",
        (row[0], sender, code),
    )
    conn.execute(
        "INSERT INTO quarantine (id, intake_id, sender, centre, code, grade, n_bytes, quarantined_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, 527000, %s)",
        (number, row[0], sender, centre, code, ("review", "refuse")[number % 2], NOON + timedelta(minutes=number)),
    )
