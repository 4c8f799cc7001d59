"""The hospital's pages: stages, reasons, the account, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from groundglass import config
from groundglass.config import Settings
from groundglass.gateway.desk import queue
from groundglass.gateway.desk.app import create_app
from groundglass.gateway.desk.quarantine import PAGE_ROWS
from support import pages as sample
from support.serving import serving


@pytest.fixture
def http(settings: Settings) -> Iterator[httpx.Client]:
    with sample.client(settings, "gateway") as client:
        yield client


@pytest.fixture
def staff(http: httpx.Client, gateway_db: psycopg.Connection) -> httpx.Client:
    http.headers.update(sample.bearer(gateway_db, "contributor", "gateway"))
    return http


def waiting(conn: psycopg.Connection, state: str | None, *, centre: str = "NORD", n: int = 5) -> None:
    """One series at a stage; None: still arriving."""
    conn.execute("INSERT INTO segment (id) VALUES (9) ON CONFLICT DO NOTHING")
    row = None
    if state is not None:
        row = conn.execute(
            "INSERT INTO intake (series_token, collection, centre, state, package_sha256)"
            " VALUES ('x', 'fidac', %s, %s, 'y') RETURNING id",
            (centre, state),
        ).fetchone()
    conn.execute(
        "INSERT INTO intake_part (intake_id, series_token, sender, centre, segment, n)"
        " VALUES (%s, 'x', 'CT', %s, 9, %s)",
        (row[0] if row else None, centre, n),
    )


def test_the_queue_counts_series_at_each_stage(gateway_db: psycopg.Connection) -> None:
    waiting(gateway_db, None, n=7)
    waiting(gateway_db, "settled")
    waiting(gateway_db, "settled", centre="SUD")
    waiting(gateway_db, "packed")
    found = {stage.name: (stage.series, stage.images) for stage in queue.stages(gateway_db, centre=None)}
    assert found == {"arriving": (1, 7), "settled": (2, 10), "packed": (1, 5), "done": (0, 0)}
    own = {stage.name: stage.series for stage in queue.stages(gateway_db, centre="SUD")}
    assert own == {"arriving": 0, "settled": 1, "packed": 0, "done": 0}


def test_the_queue_says_how_long_the_oldest_has_waited(staff: httpx.Client, gateway_db: psycopg.Connection) -> None:
    waiting(gateway_db, "packed")
    gateway_db.execute("UPDATE intake SET settled_at = now() - interval '3 hours'")
    gateway_db.commit()
    page = staff.get("/").text
    assert "1 série est en route." in page
    assert "3\u00a0h" in page


def test_quarantine_gives_each_reason_in_words_and_what_to_do(
    staff: httpx.Client, gateway_db: psycopg.Connection
) -> None:
    sample.add_held(gateway_db, 1, code="not_dicom")
    sample.add_held(gateway_db, 2, code="burned_in_text")
    sample.add_held(gateway_db, 3, code="a-code-of-tomorrow")
    gateway_db.commit()
    page = staff.get("/quarantaine?lang=en").text
    assert "This is not a DICOM file." in page
    assert "Send a DICOM (Part 10) file." in page
    assert "A trained person looks at the image" in page
    assert "a-code-of-tomorrow" in page
    one = staff.get("/quarantaine/2")
    assert one.status_code == 200
    assert "Du texte peut être incrusté" in staff.get("/quarantaine/2?lang=fr").text


def test_quarantine_by_reason_and_page_after_page(staff: httpx.Client, gateway_db: psycopg.Connection) -> None:
    for number in range(1, PAGE_ROWS + 4):
        sample.add_held(gateway_db, number, code="not_dicom" if number > 2 else "bad_uid")
    gateway_db.commit()
    first = staff.get("/quarantaine")
    assert first.text.count("data-row href") == PAGE_ROWS
    assert 'rel="next" href="/quarantaine?avant=4"' in first.text
    assert staff.get("/quarantaine?avant=4").text.count("data-row href") == 3
    assert staff.get("/quarantaine?code=bad_uid").text.count("data-row href") == 2
    assert staff.get("/quarantaine?code=<b>").status_code == 422


def test_a_centre_of_several_sees_its_own(http: httpx.Client, gateway_db: psycopg.Connection) -> None:
    sample.add_held(gateway_db, 1, code="not_dicom", sender="CT_NORD", centre="NORD")
    sample.add_held(gateway_db, 2, code="not_dicom", sender="CT_SUD", centre="SUD")
    headers = sample.bearer(gateway_db, "contributor", "gateway", "NORD")
    for path in ("/quarantaine", "/registre"):
        page = http.get(path, headers=headers).text
        assert "CT_NORD" in page
        assert "CT_SUD" not in page
    assert http.get("/quarantaine/1", headers=headers).status_code == 200
    assert http.get("/quarantaine/2", headers=headers).status_code == 404


def test_the_account_of_the_desk_balances(staff: httpx.Client, gateway_db: psycopg.Connection) -> None:
    sample.add_held(gateway_db, 1, code="not_dicom")
    waiting(gateway_db, "settled", n=4)
    gateway_db.commit()
    page = staff.get("/registre").text
    assert "Le compte est juste." in page
    assert "Reçues\u00a0: 5." in page


def test_empty_pages_say_what_to_do(staff: httpx.Client) -> None:
    assert "Envoyez un scanner thoracique" in staff.get("/").text
    assert "Aucune image en quarantaine" in staff.get("/quarantaine").text
    assert "Le bilan commence" in staff.get("/registre").text


@pytest.mark.parametrize(
    ("host", "tls", "warned"),
    [("127.0.0.1", False, False), ("localhost", False, False), ("10.0.0.4", False, True), ("10.0.0.4", True, False)],
)
def test_a_door_in_clear_beyond_this_machine_shows_on_every_page(
    settings: Settings, host: str, tls: bool, warned: bool
) -> None:
    gateway = config.Gateway(
        **{**settings.gateway.model_dump(), "tls_certificate": settings.data / "cert.pem" if tls else None}
    )
    app = create_app(settings.model_copy(update={"gateway": gateway}), dicom_host=host)
    with serving(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        page = client.get("/login", headers={"accept": "text/html"}).text
    assert ("reçoit en clair" in page) == warned


def test_a_token_of_the_registry_opens_nothing_here(
    http: httpx.Client, registry_db: psycopg.Connection, gateway_db: psycopg.Connection
) -> None:
    for role in ("curator", "admin", "contributor"):
        assert http.get("/quarantaine", headers=sample.bearer(registry_db, role)).status_code == 303
    assert http.get("/quarantaine", headers=sample.bearer(gateway_db, "admin", "gateway")).status_code == 200
