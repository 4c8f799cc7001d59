"""Signing in and out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from groundglass.config import Settings
from groundglass.core import accounts
from groundglass.ui.sessions import local_path
from support import pages as sample

PASSWORD = "quatre nuages violets tombent"
FORM = {"name": "jeanne", "password": PASSWORD}


@pytest.fixture
def http(settings: Settings, registry_db: psycopg.Connection) -> Iterator[httpx.Client]:
    accounts.create_account(registry_db, "jeanne", role="curator", password=PASSWORD)
    registry_db.commit()
    with sample.client(settings, "registry") as client:
        yield client


def test_name_and_password_open_a_session(http: httpx.Client) -> None:
    answer = http.post("/login", data={**FORM, "next": "/etudes?du=2020-01-01"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/etudes?du=2020-01-01")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("groundglass=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age" not in cookie
    assert http.get("/etudes").status_code == 200
    assert http.get("/login?next=/registre").headers["location"] == "/registre"


def test_under_tls_the_cookie_is_of_this_host_alone(settings: Settings, registry_db: psycopg.Connection) -> None:
    token = sample.token(registry_db, "curator")

    async def go() -> httpx.Response:
        app = sample.APPS["registry"](settings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="https://registry.example.org") as client,
        ):
            await client.post("/login", data={"token": token})
            return await client.get("/etudes", headers={"accept": "text/html"})

    answer = asyncio.run(go())
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    sent = answer.request.headers["cookie"]
    assert sent.startswith("__Host-groundglass=")


def test_every_failure_has_the_same_words(http: httpx.Client, registry_db: psycopg.Connection) -> None:
    tries = [
        {"name": "jeanne", "password": "wrong"},
        {"name": "nobody", "password": PASSWORD},
        {"name": "", "password": ""},
        {"token": "gg_wrong"},
        *({"name": "jeanne", "password": f"wrong {n}"} for n in range(6)),
        FORM,  # throttled by now
    ]
    answers = [http.post("/login", data=form) for form in tries]
    assert {answer.status_code for answer in answers} == {401}
    nonce_free = {answer.text.split("<main")[1] for answer in answers}
    assert len(nonce_free) == 1
    assert "La connexion a échoué" in nonce_free.pop()
    assert not http.cookies


def test_signing_in_again_ends_the_session_before(http: httpx.Client) -> None:
    http.post("/login", data=FORM)
    first = http.cookies["groundglass"]
    http.post("/login", data=FORM)
    assert http.cookies["groundglass"] != first
    assert http.get("/etudes", headers={"cookie": f"groundglass={first}"}).status_code == 303


def test_a_planted_cookie_is_replaced(http: httpx.Client) -> None:
    answer = http.post("/login", data=FORM, headers={"cookie": "groundglass=planted"})
    assert "planted" not in answer.headers["set-cookie"]


def test_signing_out_ends_it_here_and_at_the_server(http: httpx.Client) -> None:
    http.post("/login", data=FORM)
    kept = http.cookies["groundglass"]
    answer = http.post("/logout", headers={"sec-fetch-site": "same-origin"})
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert not http.cookies
    assert http.get("/etudes", headers={"cookie": f"groundglass={kept}"}).status_code == 303


def test_other_sites_sign_nobody_in_or_out(http: httpx.Client) -> None:
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://other.example.org"}
    assert http.post("/login", data=FORM, headers=foreign).status_code == 403
    http.post("/login", data=FORM)
    assert http.post("/logout", headers=foreign).status_code == 403
    assert http.get("/etudes").status_code == 200


def test_long_and_odd_forms_are_refused(http: httpx.Client) -> None:
    assert http.post("/login", data={"name": "x" * 20_000}).status_code == 413
    assert http.post("/login", data={f"f{n}": "x" for n in range(60)}).status_code == 400
    assert http.post("/login", json=FORM).status_code == 400
    assert (
        http.post(
            "/login", content=b"name=%ff", headers={"content-type": "application/x-www-form-urlencoded"}
        ).status_code
        == 400
    )


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "etudes",
        "//other.example.org",
        "/\\other.example.org",
        "https://other.example.org/",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=1",
        "/\t/other.example.org",
        "/login?next=/login",
        "/logout",
    ],
)
def test_the_way_on_never_leaves_the_site(target: str | None) -> None:
    assert local_path(target) == "/"


def test_the_way_on_keeps_a_path_and_its_query() -> None:
    assert local_path("/etudes?texte=a%2Fb") == "/etudes?texte=a%2Fb"
