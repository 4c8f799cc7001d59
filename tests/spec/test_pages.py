"""Pages: what holds for every one of them, in both zones.

A route that forgets its right, an answer without its headers, a text that is not escaped: each fails here.
"""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import psycopg
import pytest

from groundglass.config import Settings
from support import pages as sample
from support.routes import rights

ZONES = ("registry", "gateway")
SHARED = {"/login", "/logout", "/static/{name}", "/problems/{slug}", "/csp-report", "/healthz", "/readyz"}
PUBLIC = {"registry": SHARED | {"/", "/openapi.json"}, "gateway": SHARED}
HEADERS = (
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "x-frame-options",
    "cross-origin-opener-policy",
    "cross-origin-embedder-policy",
    "cross-origin-resource-policy",
    "cache-control",
)
# A13, a small set of its kinds: tag, attribute, script, template, URL, charset, control, and bidirectional text.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus=alert(1) autofocus='",
    "</title></style></textarea><svg onload=alert(1)>",
    "{{7*7}}{% raw %}${7*7}#{7*7}",
    "javascript:alert(1)//",
    "+ADw-script+AD4-alert(1)",
    "\u202e<b>\u2028\x1b[31m",
    "&lt;b&gt;&#x3c;b&#x3e;",
)


@pytest.mark.parametrize("zone", ZONES)
def test_every_route_declares_its_right(settings: Settings, zone: str) -> None:
    found = rights(sample.APPS[zone](settings))
    assert [route for route, declared in found.items() if len(declared) != 1] == []
    assert {path for (_, path), (right,) in found.items() if right.public} == PUBLIC[zone]


@pytest.mark.parametrize("zone", ZONES)
def test_nothing_but_public_routes_opens_without_an_account(settings: Settings, zone: str) -> None:
    with sample.client(settings, zone) as client:
        for (method, path), (right,) in rights(sample.APPS[zone](settings)).items():
            answer = client.request(method, re.sub(r"{[^}]*}", "1", path))
            if right.public or right.near:
                assert answer.status_code not in (401, 500), path
            elif answer.status_code == 303:
                assert answer.headers["location"].startswith("/login?next="), path
            else:
                assert answer.status_code == 401, path


@pytest.mark.parametrize("zone", ZONES)
def test_every_answer_has_its_headers(settings: Settings, zone: str) -> None:
    with sample.client(settings, zone) as client:
        page = client.get("/login")
        assets = [part.split('"')[0] for part in page.text.split('="/static/')[1:]]
        assert len(assets) >= 5
        paths = ["/", "/login", "/x", "/problems/usage", "/healthz", *(f"/static/{name}" for name in set(assets))]
        answers = [client.request(method, path) for path in paths for method in ("GET", "HEAD", "POST", "OPTIONS")]
        for answer in answers:
            missing = [name for name in HEADERS if name not in answer.headers]
            assert missing == [], f"{answer.request.method} {answer.request.url.path}"
            kept = answer.request.url.path.startswith("/static/") and answer.status_code == 200
            assert ("immutable" in answer.headers["cache-control"]) == kept


@pytest.mark.parametrize("zone", ZONES)
def test_pages_hold_no_inline_style_or_handler_and_only_their_nonce(settings: Settings, zone: str) -> None:
    with sample.client(settings, zone) as client:
        answer = client.get("/login")
    nonce = answer.headers["content-security-policy"].split("'nonce-")[1].split("'")[0]
    assert f'nonce="{nonce}"' in answer.text
    assert " style=" not in answer.text
    assert answer.text.count("<script") == answer.text.count(f'<script type="module" nonce="{nonce}"')


def escaped(page: httpx.Response) -> None:
    """No text of HOSTILE has become markup: what it holds of < > and quotes stands there as entities."""
    assert page.status_code == 200
    own = page.text.replace('<img src="/static/', "")
    for markup in ("<script>", "<img", "<svg onload", "<b>", "</title></style>", '"><img', "' onfocus"):
        assert markup not in own, markup


def test_hostile_texts_are_escaped_in_the_registry(settings: Settings, registry_db: psycopg.Connection) -> None:
    headers = sample.bearer(registry_db, "curator")
    with sample.client(settings, "registry") as client:
        for n, hostile in enumerate(HOSTILE):
            uid = sample.add_study(registry_db, n, text=hostile, patient_id=hostile, sex=hostile, modality=hostile)
            registry_db.execute("UPDATE study SET patient_age = %s, centre = %s", (hostile, hostile))
            sample.add_report(registry_db, hostile, hostile, {hostile: {"received": 1, "reasons": {hostile: 1}}})
            registry_db.commit()
            for path in ("/etudes", f"/etudes/{uid}", "/registre"):
                escaped(client.get(path, headers=headers))
            asked = dict.fromkeys(("du", "au", "centre", "texte", "apres", "lang", "x"), hostile)
            escaped(client.get("/etudes", params=asked, headers=headers))
            escaped(client.get("/login", params={"next": hostile}))
            assert "<script>alert" not in client.get("/problems/x", params={"a": hostile}).text


def test_hostile_texts_are_escaped_at_the_desk(settings: Settings, gateway_db: psycopg.Connection) -> None:
    headers = sample.bearer(gateway_db, "admin", "gateway")
    with sample.client(settings, "gateway") as client:
        for n, hostile in enumerate(HOSTILE, 1):
            sample.add_held(gateway_db, n, code=hostile, sender=hostile, centre=hostile)
            gateway_db.commit()
            for path in ("/", "/quarantaine", f"/quarantaine/{n}", "/registre"):
                escaped(client.get(path, headers=headers))


@pytest.mark.parametrize("zone", ZONES)
def test_a_static_file_has_one_address_and_no_other(settings: Settings, zone: str) -> None:
    with sample.client(settings, zone) as client:
        for name in ("tokens.css", "tokens.0000000000000000.css", "..%2F__init__.py", "%2e%2e", "english.toml"):
            assert client.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("zone", ZONES)
def test_pages_name_no_other_host(settings: Settings, zone: str) -> None:
    with sample.client(settings, zone) as client:
        page = client.get("/login").text
    assert "http://" not in page
    assert "https://" not in page
    static = Path(__file__).parents[2] / "src" / "groundglass" / "ui" / "static"
    for path in static.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path.name
        assert "url(" not in text, path.name
