"""The registry's pages on rows of the database: what each role sees, filters, paging, figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import httpx
import psycopg
import pytest

from groundglass.config import Settings
from groundglass.web import health
from groundglass.web.pages import study_rows
from groundglass.web.pages.study_rows import PAGE_ROWS, Wanted
from support import pages as sample


@pytest.fixture
def http(settings: Settings) -> Iterator[httpx.Client]:
    with sample.client(settings, "registry") as client:
        yield client


@pytest.fixture
def curator(http: httpx.Client, registry_db: psycopg.Connection) -> httpx.Client:
    http.headers.update(sample.bearer(registry_db, "curator"))
    return http


def pseudonyms(page: httpx.Response) -> list[str]:
    return re.findall(r"data-row href=[^>]*>([^<]*)<", page.text)


def fill(conn: psycopg.Connection, n: int) -> None:
    for number in range(n):
        sample.add_study(conn, number, centre=("NORD", "SUD")[number % 2])
    conn.commit()


def test_a_curator_sees_all_and_a_contributor_the_own_centre(
    http: httpx.Client, registry_db: psycopg.Connection
) -> None:
    fill(registry_db, 6)
    every = http.get("/etudes", headers=sample.bearer(registry_db, "curator"))
    own = http.get("/etudes?centre=SUD", headers=sample.bearer(registry_db, "contributor", centre="NORD"))
    assert pseudonyms(every) == [f"P{n:06}" for n in range(6)]
    assert pseudonyms(own) == ["P000000", "P000002", "P000004"]
    assert "3 examens archivés, pour le centre NORD" in " ".join(own.text.split())


def test_a_study_of_another_centre_is_as_absent_as_one_that_is_not(
    http: httpx.Client, registry_db: psycopg.Connection
) -> None:
    fill(registry_db, 2)
    headers = sample.bearer(registry_db, "contributor", centre="NORD")
    assert http.get(f"/etudes/{sample.STUDY.format(n=0)}", headers=headers).status_code == 200
    other = http.get(f"/etudes/{sample.STUDY.format(n=1)}", headers=headers)
    absent = http.get("/etudes/1.2.3", headers=headers)
    assert (other.status_code, absent.status_code) == (404, 404)
    assert other.text.split("<main")[1] == absent.text.split("<main")[1]


def test_what_is_no_uid_is_not_found(curator: httpx.Client) -> None:
    for uid in ["..%2F..%2Fetc", "%00", "x' OR 1=1--", "1" * 65, "%ff"]:
        assert curator.get(f"/etudes/{uid}").status_code == 404, uid


def test_filters(curator: httpx.Client, registry_db: psycopg.Connection) -> None:
    fill(registry_db, 10)
    assert pseudonyms(curator.get("/etudes?centre=SUD&du=2020-03-29")) == ["P000001", "P000003"]
    assert pseudonyms(curator.get("/etudes?au=2020-03-24")) == ["P000008", "P000009"]
    assert pseudonyms(curator.get("/etudes?texte=P000003")) == ["P000003"]
    assert pseudonyms(curator.get(f"/etudes?texte={sample.STUDY.format(n=4)}")) == ["P000004"]
    assert len(pseudonyms(curator.get("/etudes?texte=P00000"))) == 10
    assert pseudonyms(curator.get("/etudes?texte=%25")) == []


def test_a_date_that_is_none_is_told_and_filters_nothing(
    curator: httpx.Client, registry_db: psycopg.Connection
) -> None:
    fill(registry_db, 2)
    page = curator.get("/etudes?du=hier&apres=%C3%A9%C3%A9&texte=%00")
    assert page.status_code == 200
    assert len(pseudonyms(page)) == 2
    assert "La date de début n" in page.text


def test_reading_on_meets_every_study_once(curator: httpx.Client, registry_db: psycopg.Connection) -> None:
    fill(registry_db, 2 * PAGE_ROWS + 3)
    registry_db.execute("UPDATE study SET archived_at = '2020-04-01' WHERE id % 3 = 0")  # many at one instant
    registry_db.commit()
    met: list[str] = []
    address: str | None = "/etudes?du=2001-01-01"
    while address:
        page = curator.get(address)
        met += pseudonyms(page)
        following = re.search(r'rel="next" href="([^"]*)"', page.text)
        address = following[1].replace("&amp;", "&") if following else None
        assert address is None or "du=2001-01-01" in address
    assert len(met) == len(set(met)) == 2 * PAGE_ROWS + 3


def test_many_are_counted_up_to_a_limit(registry_db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(registry_db, 5)
    monkeypatch.setattr(study_rows, "COUNTED", 3)
    assert study_rows.count(registry_db, Wanted()) == 4
    assert study_rows.count(registry_db, Wanted(since=date(2020, 3, 31))) == 2


def test_a_study_shows_its_series_with_uids_and_hash(curator: httpx.Client, registry_db: psycopg.Connection) -> None:
    uid = sample.add_study(registry_db, 7)
    registry_db.commit()
    text = curator.get(f"/etudes/{uid}").text
    assert f"{uid}.2" in text
    assert (7).to_bytes(32, "big").hex() in text
    assert f"/dicom-web/studies/{uid}/series/{uid}.2/metadata" in text
    assert f"/api/v1/series/{uid}.2/package" in text


def test_only_a_curator_is_offered_the_package(http: httpx.Client, registry_db: psycopg.Connection) -> None:
    uid = sample.add_study(registry_db, 0, centre="NORD")
    headers = sample.bearer(registry_db, "contributor", centre="NORD")
    assert "/package" not in http.get(f"/etudes/{uid}", headers=headers).text


def test_reading_is_in_the_audit_log(curator: httpx.Client, registry_db: psycopg.Connection) -> None:
    fill(registry_db, 1)
    uid = sample.STUDY.format(n=0)
    curator.get("/etudes?texte=P000000")
    curator.get(f"/etudes/{uid}")
    found = registry_db.execute(
        "SELECT actor, action, target, detail::text FROM event ORDER BY id DESC LIMIT 2"
    ).fetchall()
    assert [row[:3] for row in found] == [
        ("token curator", "study.view", f"study {uid}"),
        ("token curator", "study.list", "studies"),
    ]
    assert "P000000" not in str(found)


def test_the_ledger_shows_what_gateways_told_and_what_the_registry_holds(
    http: httpx.Client, registry_db: psycopg.Connection
) -> None:
    counts = {"received": 16762, "archived": 16000, "quarantined": 700, "duplicates": 50, "pending": 12}
    sample.add_report(registry_db, "token gateway nord", "NORD", {"CT_1": {**counts, "reasons": {"not_dicom": 700}}})
    sample.add_report(registry_db, "token gateway sud", "SUD", {"CT_2": {"received": 3, "archived": 1}})
    fill(registry_db, 4)
    page = http.get("/registre?lang=en", headers=sample.bearer(registry_db, "auditor")).text
    assert "16,762" in page
    assert "The account balances." in page
    assert "The account is out by 2 images." in page
    assert "This is not a DICOM file." in page
    assert "1\u00a0April 2020, 12:05" in page
    own = http.get("/registre", headers=sample.bearer(registry_db, "contributor", centre="SUD")).text
    assert "CT_2" in own
    assert "CT_1" not in own
    assert "NORD" not in own


ROLES = {
    "curator": (200, 200),
    "contributor": (200, 200),
    "auditor": (403, 200),
    "admin": (403, 200),
    "gateway": (403, 403),
    "researcher": (403, 403),
    "committee": (403, 403),
    "custodian": (403, 403),
}


def test_roles(http: httpx.Client, registry_db: psycopg.Connection) -> None:
    for role, (studies, ledger) in ROLES.items():
        headers = sample.bearer(registry_db, role, centre="NORD" if role in ("contributor", "gateway") else None)
        assert http.get("/etudes", headers=headers).status_code == studies, role
        assert http.get("/etudes/1.2.3", headers=headers).status_code == (404 if studies == 200 else 403), role
        assert http.get("/registre", headers=headers).status_code == ledger, role


def test_health_and_figures_name_nobody(http: httpx.Client, registry_db: psycopg.Connection) -> None:
    sample.add_report(registry_db, "token gateway sud", "SUD", {"CT_2": {"received": 3, "archived": 1}})
    fill(registry_db, 3)
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready"}
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert lines["groundglass_studies"] == "3"
    assert lines["groundglass_instances"] == "1203"
    assert lines["groundglass_ledger_imbalance"] == "2"
    assert set(lines) == set(health._HELP)
    assert "{" not in answer.text


def test_without_a_database_it_lives_and_is_not_ready(settings: Settings) -> None:
    app = sample.APPS["registry"](settings)
    with sample.serving(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        app.state.pool.close()
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")


def test_the_front_page_needs_no_account_and_shows_no_figure(
    http: httpx.Client, registry_db: psycopg.Connection
) -> None:
    fill(registry_db, 3)
    page = http.get("/")
    assert page.status_code == 200
    assert "aucun chiffre" in page.text
    words = re.sub(r"<svg.*?</svg>|<[^>]*>|&#\d+;", "", page.text.split("<h1>")[1], flags=re.DOTALL)
    assert not re.search(r"\d", words)
