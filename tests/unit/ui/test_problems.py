"""Every error as a problem: the right kind, translated, and without a word of what was sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from groundglass import errors
from groundglass.ui import problems, shield
from support.serving import serving

SECRET = "DUPONT^JEANNE"
CASES = {
    "usage": errors.UsageError("a word of ours"),
    "not-allowed": errors.NotAllowedError(),
    "not-found": errors.NotFoundError(),
    "conflict": errors.ConflictError(),
    "too-large": errors.TooLargeError(),
    "unprocessable": errors.UnprocessableError(),
    "no-room": errors.NoRoomError(),
    "unavailable": errors.UnavailableError(),
    "folder-in-use": errors.FolderInUseError(),
    "database": psycopg.OperationalError(SECRET),
    "disk": OSError(28, SECRET),
    "unforeseen": RuntimeError(SECRET),
    "bare": errors.GroundglassError(),
}
KINDS = {"database": "unavailable", "disk": "no-room", "unforeseen": "internal", "bare": "internal"}


class Body(BaseModel):
    age: int


def application() -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.add_middleware(shield.Shield)

    @app.get("/api/raise/{name}")
    def fail(name: str) -> None:
        raise CASES[name]

    @app.post("/api/body")
    def take(body: Body) -> None: ...

    return app


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(serving(application()))
        yield stack.enter_context(httpx.Client(base_url=url, trust_env=False))


@pytest.mark.parametrize("name", CASES)
def test_each_error_has_its_kind_and_tells_no_value(http: httpx.Client, name: str) -> None:
    answer = http.get(f"/api/raise/{name}")
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"/problems/{KINDS.get(name, name)}"
    assert body["status"] == answer.status_code
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text


def test_french_unless_english_is_asked(http: httpx.Client) -> None:
    french = http.get("/api/raise/not-found")
    english = http.get("/api/raise/not-found", headers={"accept-language": "en"})
    assert french.json()["title"] == "Rien à cette adresse"
    assert french.headers["content-language"] == "fr"
    assert english.json()["title"] == "Nothing at this address"
    assert http.get("/api/raise/not-found?lang=en").json() == english.json()


def test_a_message_of_the_tree_is_told_to_programs(http: httpx.Client) -> None:
    assert http.get("/api/raise/usage?lang=en").json()["detail"] == "a word of ours"
    french = http.get("/api/raise/usage").json()
    assert french["message"] == "a word of ours"
    assert french["detail"].startswith("Un paramètre manque")


def test_what_may_succeed_later_says_when(http: httpx.Client) -> None:
    assert http.get("/api/raise/database").headers["retry-after"] == "5"


def test_validation_names_the_field_and_never_what_stood_in_it(http: httpx.Client) -> None:
    answer = http.post("/api/body", json={"age": SECRET, SECRET: 1})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/body/age", "code": "int_parsing"}]
    assert SECRET not in answer.text


def test_not_found_and_not_allowed_methods(http: httpx.Client) -> None:
    missing = http.get(f"/api/{SECRET}")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/not-found")
    assert SECRET not in missing.text
    wrong = http.put("/api/body")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "/problems/method-not-allowed")
    assert wrong.headers["allow"] == "POST"


def test_a_bad_host_or_address_is_no_exception(http: httpx.Client) -> None:
    assert http.get("/%00%ff%2e%2e/").status_code == 404
