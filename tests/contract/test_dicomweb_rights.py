"""Who gets what: every route of DICOMweb and the API, every role, what is theirs, another's, and nobody's (A14, A8)."""

from __future__ import annotations

import http.client
import itertools
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx
import psycopg
import pytest

from groundglass.core import accounts
from groundglass.core.postgres import Postgres
from groundglass.web.app import create_app
from support.images import ROLES, World, issue, world
from support.routes import rights

VIEWERS = {"curator", "contributor", "researcher"}
QIDO = {
    "/dicom-web/studies",
    "/dicom-web/series",
    "/dicom-web/instances",
    "/dicom-web/studies/{study}/series",
    "/dicom-web/studies/{study}/instances",
    "/dicom-web/studies/{study}/series/{series}/instances",
}
_INSTANCE = "/dicom-web/studies/{study}/series/{series}/instances/{instance}"
WADO = {
    "/dicom-web/studies/{study}",
    "/dicom-web/studies/{study}/metadata",
    "/dicom-web/studies/{study}/series/{series}",
    "/dicom-web/studies/{study}/series/{series}/metadata",
    _INSTANCE,
    f"{_INSTANCE}/metadata",
    f"{_INSTANCE}/frames/{{frames}}",
}
BULK = f"{_INSTANCE}/bulkdata/{{path:path}}"
PACKAGE = "/api/v1/series/{uid}/package"
_INBOX = "/api/v1/inbox"
RECEIVED = {f"{_INBOX}/packages/{{sha256}}", f"{_INBOX}/packages/{{sha256}}/receipt"}
OF_GATEWAYS = {f"{_INBOX}/ledger", f"{_INBOX}/key"}
WHOSE = ("own", "other", "absent")


@pytest.fixture(scope="module")
def there(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(postgres, tmp_path_factory.mktemp("rights")) as served:
        yield served


def routes(there: World) -> list[tuple[str, str]]:
    app = create_app(there.registry.settings)
    return [route for route in rights(app) if route[1].startswith(("/dicom-web", "/api/"))]


def filled(path: str, there: World, whose: str) -> str:
    """Put identifiers into a path: what NORTH owns, what SOUTH owns, what nobody has."""
    held = {"own": there.native, "other": there.other}.get(whose)
    values = {
        "study": held.study if held else "2.25.1",
        "series": held.uid if held else "2.25.1",
        "uid": held.uid if held else "2.25.1",
        "instance": held.first if held else "2.25.1.1",
        "sha256": held.sha256 if held else "ab" * 32,
        "frames": "1",
        "path:path": "7FE00010",
    }
    made = re.sub(r"{([^}]*)}", lambda match: values[match[1]], path)
    # A search for instances must name a study; the other searches of this table are narrowed the same way.
    return f"{made}?StudyInstanceUID={values['study']}" if path in QIDO else made


def expected(method: str, path: str, role: str | None, whose: str) -> int:
    if role is None:
        return 401
    if path in QIDO:
        return 200 if role in VIEWERS else 403
    if path in RECEIVED | OF_GATEWAYS:
        return _of_gateway(method, path, whose) if role == "gateway" else 403
    if role == "curator":
        return 404 if whose == "absent" or path == BULK else 200
    if role == "contributor" and whose == "own" and path != PACKAGE:
        return 404 if path == BULK else 200
    assert path in WADO | {BULK, PACKAGE}, f"{path} has no rule here: what may each role get from it?"
    return 403


def _of_gateway(method: str, path: str, whose: str) -> int:
    if path in OF_GATEWAYS:
        return 422 if method == "PUT" else 200  # an empty ledger is none
    if method == "PUT":
        return {"own": 202, "other": 409, "absent": 422}[whose]  # a repeat; somebody else's; not these bytes
    return 200 if whose == "own" else 404


def test_every_route_of_these_doors_has_a_rule_here(there: World):
    known = QIDO | WADO | {BULK, PACKAGE} | RECEIVED | OF_GATEWAYS
    assert {path for _, path in routes(there)} == known
    for (_, path), (right,) in rights(create_app(there.registry.settings)).items():
        if path in QIDO | WADO | {BULK}:
            assert right.roles == VIEWERS, path
        elif path in known:
            assert right.roles == ({"curator"} if path == PACKAGE else {"gateway"}), path


@pytest.mark.parametrize("role", [*ROLES, None])
def test_each_role_gets_what_it_may_and_no_more(there: World, role: str | None):
    wrong, asked = [], 0
    declared = {
        "groundglass-collection": "fidac",
        "groundglass-profile": "fidac-anonyme/1",
        "content-type": "application/octet-stream",
    }
    with there.client(role, **declared) as client:
        for (method, path), whose in itertools.product(routes(there), WHOSE):
            content = b"x" if method == "PUT" else None
            answer = client.request(method, filled(path, there, whose), content=content)
            asked += 1
            rule = expected(method, path, role, whose)
            if answer.status_code != rule:
                wrong.append((method, path, whose, answer.status_code, rule))
            elif path in QIDO:
                wrong += [(path, whose, "rows")] * (not _rows_are_right(answer, role, whose))
            elif answer.status_code in (401, 403):
                assert answer.headers["content-type"] == "application/problem+json"
    assert wrong == []
    assert asked >= 60


def _rows_are_right(answer: httpx.Response, role: str | None, whose: str) -> bool:
    if role not in VIEWERS:
        return True
    sees = whose in {"curator": ("own", "other"), "contributor": ("own",)}.get(str(role), ())
    return bool(answer.json()) == sees


def test_lists_hold_only_what_the_role_may_see(there: World):
    seen = {}
    for role in sorted(VIEWERS):
        with there.client(role) as client:
            found = client.get("/dicom-web/studies").json() + client.get("/dicom-web/series").json()
            seen[role] = {one["0020000D"]["Value"][0] for one in found}
    north, south = {there.native.study, there.large.study}, {there.other.study}
    assert seen == {"curator": north | south, "contributor": north, "researcher": set()}


def test_what_is_not_theirs_and_what_is_absent_look_alike(there: World):
    with there.client("contributor") as client:
        for path in (*WADO, BULK):
            other, absent = (client.get(filled(path, there, whose)) for whose in ("other", "absent"))
            assert (other.status_code, other.content) == (absent.status_code, absent.content)
            assert sorted(other.headers) == sorted(absent.headers)


def test_a_series_of_another_study_is_absent(there: World):
    with there.client("curator") as client:
        mixed = f"/dicom-web/studies/{there.native.study}/series/{there.other.uid}"
        assert client.get(mixed).status_code == 404
        mixed = f"{there.native.path}/instances/{there.encapsulated.first}"
        assert client.get(mixed).status_code == 404
        assert client.get(f"{mixed}/frames/1").status_code == 404


def test_a_contributor_without_a_centre_sees_nothing(there: World):
    token = issue(there.registry.conn, "contributor", name="adrift")
    with there.client(None, authorization=f"Bearer {token}") as client:
        assert client.get("/dicom-web/studies").json() == []
        assert client.get(there.native.path).status_code == 403


def test_revoked_expired_and_disabled_end_at_once(there: World):
    conn = there.registry.conn
    ends = {
        "revoked": "UPDATE token SET revoked_at = now() FROM account a WHERE a.id = account_id AND a.name = %s",
        "expired": "UPDATE token SET created_at = now() - interval '9 d', expires_at = now() - interval '1 s'"
        " FROM account a WHERE a.id = account_id AND a.name = %s",
        "disabled": "UPDATE account SET disabled_at = now() WHERE name = %s",
    }
    for name, statement in ends.items():
        token = issue(conn, "curator", name=name)
        session = accounts.session_for_token(conn, token)
        conn.commit()
        with (
            there.client(None, authorization=f"Bearer {token}") as client,
            there.client(None, cookie=f"groundglass={session}") as browser,
        ):
            assert client.get(there.native.path).status_code == 200
            assert browser.get(there.native.path).status_code == 200
            _as_owner(conn, statement, name)
            for path in (there.native.path, "/dicom-web/studies", f"/api/v1/series/{there.native.uid}/package"):
                assert client.get(path).status_code == 401, name
                assert browser.get(path).status_code == 401, name


def _as_owner(conn: psycopg.Connection, statement: str, name: str) -> None:
    assert conn.execute(statement, (name,)).rowcount == 1
    conn.commit()


@pytest.mark.parametrize("given", ["Bearer", "Bearer x", "Basic eDp4", "Bearer gg_" + "A" * 43, "x" * 9000])
def test_what_is_no_token_opens_nothing(there: World, given: str):
    with there.client(None, authorization=given) as client:
        answer = client.get("/dicom-web/studies")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


# --- A8: identifiers that are something else

HOSTILE = [
    "..",
    "../..",
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2f",
    "%252e%252e%252f",
    "..\\..\\windows",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "%00",
    "2.25.2001%00",
    "2.25.2001%00.zip",
    "2.25.2001%0a",
    "2.25.2001%0d%0aX-Evil:%201",
    "%202.25.2001",
    "2.25.2001%20",
    "2.25.2001/",
    "2.25.2001;v=1",
    "2.25.2001%3Fx=1",
    "2.25.2001%23",
    "'",
    "' OR '1'='1",
    "2.25.2001'--",
    "2.25.2001%27%3BDROP%20TABLE%20study%3B--",
    "%25",
    "_",
    "*",
    "?",
    "$(id)",
    "`id`",
    "|id",
    "&&id",
    "${jndi:ldap://example.org/x}",
    "{{7*7}}",
    "%s%s%n",
    "<script>alert(1)</script>",
    "\u0660.\u0661",
    "\uff12.25",
    "%ff%fe",
    "%c0%ae%c0%ae",
    "\u202e2.25",
    "2,25",
    "-1",
    "1e9",
    "0x1",
    "NaN",
    "null",
    "true",
    "[]",
    "9" * 65,
    "9" * 4000,
    ".",
    "...",
    "." * 64,
    "2..25",
    "2.25.",
    ".2.25",
    "CON",
    "a" * 64,
]


def asked(there: World, line: str, token: str) -> tuple[int, bytes]:
    """Send a path as it stands: no client of good manners would."""
    server = urlsplit(there.url)
    headers = f"Host: {server.netloc}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    with socket.create_connection((server.hostname, server.port)) as connection:
        connection.sendall(f"GET {line} HTTP/1.1\r\n{headers}".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def test_hostile_identifiers_reach_nothing(there: World):
    held, token, tried = there.native, there.token("curator"), 0
    places = [
        "/dicom-web/studies/{}",
        "/dicom-web/studies/{}/series",
        "/dicom-web/studies/{}/metadata",
        f"/dicom-web/studies/{held.study}/series/{{}}",
        f"/dicom-web/studies/{held.study}/series/{{}}/instances",
        f"/dicom-web/studies/{held.study}/series/{{}}/metadata",
        f"{held.path}/instances/{{}}",
        f"{held.path}/instances/{{}}/metadata",
        f"{held.path}/instances/{{}}/frames/1",
        f"{held.path}/instances/{held.first}/frames/{{}}",
        f"{held.path}/instances/{held.first}/bulkdata/{{}}",
        "/api/v1/series/{}/package",
    ]
    before = there.registry.stored()
    for place, value in itertools.product(places, HOSTILE):
        sent = quote(value, safe="%/.\\'<>$`|&{}();*?,-_:=[]")
        status, body = asked(there, place.format(sent).replace(" ", "%20"), token)
        tried += 1
        # a slash or a question mark of the value's own ends the path: the address without the slash is told
        honest = (400, 404, 307) if {"/", "?"} & set(value) else (400, 404)
        assert status in honest or body == b"[]", (place, value, status)
        assert b"root:" not in body
        assert b"Traceback" not in body
    assert tried > 200
    assert there.registry.stored() == before
