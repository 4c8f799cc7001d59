"""Who may pass: tokens, sessions, roles, centres, and requests that other sites send."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import httpx
import psycopg
import pytest
from fastapi import Depends, FastAPI

from groundglass.config import Settings
from groundglass.core import accounts, database
from groundglass.core.accounts import Account
from groundglass.ui import access
from groundglass.ui.furnish import furnish
from groundglass.web.pages.site import site
from support import pages as sample
from support.serving import serving

COOKIE = "groundglass"
curator = access.signed_in("curator", "contributor")
visitor = access.public()


def application(settings: Settings) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pool = database.pool(settings, "registry")
        yield
        app.state.pool.close()

    app = FastAPI(lifespan=lifespan)
    furnish(app, site())

    @app.api_route("/api/who", methods=["GET", "POST"])
    def who(account: Annotated[Account, Depends(curator)]) -> dict[str, str | None]:
        return {"name": account.name, "centre": access.own_centre(account)}

    @app.get("/page")
    def page(account: Annotated[Account, Depends(curator)]) -> str:
        return account.name

    @app.get("/open")
    def open_page(account: Annotated[Account | None, Depends(visitor)]) -> str:
        return account.name if account else "nobody"

    return app


@pytest.fixture
def http(settings: Settings) -> Iterator[httpx.Client]:
    with serving(application(settings)) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


@pytest.fixture
def session(registry_db: psycopg.Connection) -> dict[str, str]:
    secret = accounts.session_for_token(registry_db, sample.token(registry_db, "curator"))
    registry_db.commit()
    return {"cookie": f"{COOKIE}={secret}"}


def test_a_token_opens_what_its_role_may(http: httpx.Client, registry_db: psycopg.Connection) -> None:
    assert http.get("/api/who", headers=sample.bearer(registry_db, "curator")).json()["centre"] is None
    own = http.get("/api/who", headers=sample.bearer(registry_db, "contributor", centre="NORD"))
    assert own.json() == {"name": "token contributor nord", "centre": "NORD"}
    refused = http.get("/api/who", headers=sample.bearer(registry_db, "auditor"))
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/not-allowed")


def test_a_contributor_of_no_centre_sees_none(http: httpx.Client, registry_db: psycopg.Connection) -> None:
    assert http.get("/api/who", headers=sample.bearer(registry_db, "contributor")).status_code == 403


def test_other_authorizations_are_refused(http: httpx.Client) -> None:
    for header in ["", "Bearer", "Basic YTpi", "Bearer gg_wrong", "Bearer é"]:
        answer = http.get("/api/who", headers={"authorization": header.encode()})
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/not-signed-in")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_bad_token_is_not_saved_by_a_good_session(http: httpx.Client, session: dict[str, str]) -> None:
    assert http.get("/api/who", headers={**session, "authorization": "Bearer gg_wrong"}).status_code == 401


def test_a_browser_is_led_to_the_sign_in_page(http: httpx.Client) -> None:
    answer = http.get("/page?a=1&b=%26", headers={"accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fpage%3Fa%3D1%26b%3D%2526")
    assert http.get("/page").status_code == 401
    assert http.get("/api/who", headers={"accept": "text/html"}).status_code == 401


def test_public_pages_know_who_is_there(http: httpx.Client, session: dict[str, str]) -> None:
    assert http.get("/open").json() == "nobody"
    assert http.get("/open", headers=session).json() == "token curator"
    assert http.get("/open", headers={"cookie": f"{COOKIE}=wrong"}).json() == "nobody"


WRITES: list[tuple[dict[str, str], int]] = [
    ({"sec-fetch-site": "same-origin"}, 200),
    ({"sec-fetch-site": "same-origin", "origin": "null"}, 200),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"origin": "OWN"}, 200),
    ({"origin": "http://other.example.org"}, 403),
    ({"origin": "null"}, 403),
    ({}, 403),
]


def test_a_session_writes_only_from_our_own_pages(http: httpx.Client, session: dict[str, str]) -> None:
    for headers, status in WRITES:
        own = {name: value.replace("OWN", str(http.base_url).rstrip("/")) for name, value in headers.items()}
        assert http.post("/api/who", headers={**session, **own}).status_code == status, headers


def test_a_token_writes_from_anywhere(http: httpx.Client, registry_db: psycopg.Connection) -> None:
    headers = {**sample.bearer(registry_db, "curator"), "sec-fetch-site": "cross-site"}
    assert http.post("/api/who", headers=headers).status_code == 200


def test_the_other_zones_cookie_opens_nothing(http: httpx.Client, session: dict[str, str]) -> None:
    assert (
        http.get("/api/who", headers={"cookie": session["cookie"].replace(COOKIE, f"{COOKIE}-desk", 1)}).status_code
        == 401
    )


def test_revoking_acts_on_the_next_request(
    http: httpx.Client, session: dict[str, str], registry_db: psycopg.Connection
) -> None:
    assert http.get("/api/who", headers=session).status_code == 200
    accounts.disable_account(registry_db, "token curator", by="test")
    registry_db.commit()
    assert http.get("/api/who", headers=session).status_code == 401
