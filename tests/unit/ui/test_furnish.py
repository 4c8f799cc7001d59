"""Problem pages, reports of browsers, the language kept, and who is named where no route is met."""

from __future__ import annotations

import asyncio

import httpx
import psycopg
import pytest

from groundglass.config import Settings
from groundglass.ui.problem_texts import KINDS
from support import pages as sample


@pytest.mark.parametrize("language", ["fr", "en"])
def test_each_kind_of_problem_has_its_page(settings: Settings, language: str) -> None:
    with sample.client(settings, "registry") as client:
        for slug in KINDS:
            page = client.get(f"/problems/{slug}?lang={language}")
            assert page.status_code == 200
            assert f"<code>/problems/{slug}</code>" in page.text
        assert client.get("/problems/nothing").status_code == 404


def test_reports_are_counted_and_never_kept(settings: Settings) -> None:
    with sample.client(settings, "registry") as client:
        for body in (b"{}", b"x" * 1_000_000):
            assert client.post("/csp-report", content=body).status_code == 204
        assert "groundglass_csp_reports 2" in client.get("/metrics").text


def test_the_language_is_kept_once_chosen(settings: Settings) -> None:
    with sample.client(settings, "registry") as client:
        assert 'lang="fr"' in client.get("/").text
        client.get("/?lang=en")
        assert '<html lang="en">' in client.get("/").text
        assert client.get("/").headers["content-language"] == "en"


def test_a_missing_page_still_knows_who_is_there(settings: Settings, registry_db: psycopg.Connection) -> None:
    token = sample.token(registry_db, "curator")
    with sample.client(settings, "registry") as client:
        client.post("/login", data={"token": token})
        page = client.get("/nowhere")
        assert page.status_code == 404
        assert "token curator" in page.text
        assert "Se déconnecter" in page.text


def test_metrics_ask_for_an_account_from_elsewhere(settings: Settings, registry_db: psycopg.Connection) -> None:
    admin, curator = (sample.bearer(registry_db, role) for role in ("admin", "curator"))

    async def ask(headers: dict[str, str]) -> int:
        app = sample.APPS["registry"](settings)
        there = httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("10.0.0.9", 1)), base_url="http://x")
        async with app.router.lifespan_context(app), there as client:
            return (await client.get("/metrics", headers=headers)).status_code

    assert [asyncio.run(ask(headers)) for headers in ({}, curator, admin)] == [401, 403, 200]
