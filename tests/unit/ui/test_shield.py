"""The headers of every answer, and the last net."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response, StreamingResponse

from groundglass.ui import shield
from support.serving import serving


def application() -> FastAPI:
    app = FastAPI()
    app.add_middleware(shield.Shield)

    @app.get("/page")
    def page() -> Response:
        return HTMLResponse("<p>x")

    @app.get("/data")
    def data() -> Response:
        return Response(b"x", headers={"ETag": '"1"'})

    @app.get("/own")
    def own() -> Response:
        return Response(b"x", headers={"Cache-Control": "public", "Content-Security-Policy": "default-src 'self'"})

    @app.get("/broken")
    def broken() -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 10
            raise RuntimeError("secret")

        return StreamingResponse(body(), headers={"Content-Length": "20"})

    return app


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with serving(application()) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("path", ["/page", "/data", "/own", "/missing"])
def test_every_answer_has_the_headers(http: httpx.Client, path: str) -> None:
    headers = http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-security-policy"]
    assert headers["cache-control"]
    assert "server" not in headers or "uvicorn" in headers["server"]  # `serve` takes it off: test_server
    assert "strict-transport-security" not in headers  # in clear it would mean nothing


def test_pages_have_a_nonce_of_their_own_and_no_unsafe_word(http: httpx.Client) -> None:
    policies = [http.get("/page").headers["content-security-policy"] for _ in range(2)]
    assert policies[0] != policies[1]
    for policy in policies:
        assert re.search(r"script-src 'self' 'nonce-[\w-]{20,}'", policy)
        assert "unsafe" not in policy
        for rule in ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert rule in policy


def test_data_may_run_nothing(http: httpx.Client) -> None:
    assert "sandbox" in http.get("/data").headers["content-security-policy"]


def test_pages_are_not_kept_and_what_has_an_etag_is_asked_again(http: httpx.Client) -> None:
    assert http.get("/page").headers["cache-control"] == "no-store"
    assert http.get("/data").headers["cache-control"] == "private, no-cache"
    assert http.get("/own").headers["cache-control"] == "public"
    assert http.get("/own").headers["content-security-policy"] == "default-src 'self'"


def test_an_answer_that_breaks_off_is_never_whole(http: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/broken")
