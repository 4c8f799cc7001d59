"""The inbox over real HTTP: a package is here whole and once, or not at all, and only its gateway knows of it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import shutil
import socket
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from groundglass.config import Settings
from groundglass.registry import inbox, inspection
from groundglass.web.api import inbox as door
from groundglass.web.app import create_app
from support.images import issue
from support.packages import Registry, packed
from support.serving import serving

INBOX = "/api/v1/inbox"
DECLARED = {"groundglass-collection": "fidac", "groundglass-profile": "fidac-anonyme/1"}
PACKAGE = packed([1, 2, 3])
SHA256 = hashlib.sha256(PACKAGE).hexdigest()


@dataclass(frozen=True, slots=True)
class Inbox:
    """The door of a registry, and what is behind it."""

    url: str
    registry: Registry

    def client(self, centre: str | None = "NORTH", **options: str) -> httpx.Client:
        token = issue(self.registry.conn, "gateway", centre=centre, **options)
        return httpx.Client(
            base_url=self.url + INBOX, headers={"authorization": f"Bearer {token}", **DECLARED}, trust_env=False
        )

    def is_empty(self) -> bool:
        """Whether no byte, row, job or event of a package is here."""
        counts = self.registry.rows(
            "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM procrastinate_jobs),"
            " (SELECT count(*) FROM event WHERE action = 'package.receive')"
        )
        return counts == [(0, 0, 0)] and self.registry.waiting() == []

    def holds_once(self) -> bool:
        """Whether the package is here, with one row, one job, one event, and nothing half beside it."""
        counts = self.registry.rows(
            "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM procrastinate_jobs),"
            " (SELECT count(*) FROM event WHERE action = 'package.receive')"
        )
        files = {path.name: path.read_bytes() for path in self.registry.waiting()}
        return counts == [(1, 1, 1)] and files == {f"{SHA256}.zip": PACKAGE}


@pytest.fixture
def there(settings: Settings, registry_db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    monkeypatch.setattr(inspection.verify, "check", lambda head, size, *, seeds=(): ())  # the objects are tiny
    with serving(create_app(settings)) as url:
        yield Inbox(url, Registry(settings, registry_db))


@pytest.fixture
def gateway(there: Inbox) -> Iterator[httpx.Client]:
    with there.client() as client:
        yield client


def put(client: httpx.Client, data: bytes = PACKAGE, *, name: str | None = None, **headers: str) -> httpx.Response:
    return client.put(f"/packages/{name or hashlib.sha256(data).hexdigest()}", content=data, headers=headers)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come about"


@contextlib.contextmanager
def begun(
    client: httpx.Client, sent: bytes, *, length: int = len(PACKAGE), name: str = SHA256
) -> Iterator[socket.socket]:
    """A PUT of which so much is sent."""
    where = urlsplit(str(client.base_url))
    lines = [f"PUT {INBOX}/packages/{SHA256} HTTP/1.1", f"Host: {where.netloc}", f"Content-Length: {length}"]
    lines += [f"{header}: {client.headers[header]}" for header in ("authorization", *DECLARED)]
    with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + sent)
        yield connection


def test_a_package_is_received_and_its_receipt_can_be_checked(there: Inbox, gateway: httpx.Client):
    assert gateway.head(f"/packages/{SHA256}").status_code == 404
    assert put(gateway).status_code == 202
    assert there.holds_once()
    assert gateway.head(f"/packages/{SHA256}").status_code == 200
    assert gateway.get(f"/packages/{SHA256}/receipt").status_code == 202
    there.registry.decide(SHA256)
    answer = gateway.get(f"/packages/{SHA256}/receipt").json()
    assert answer["receipt"]["verdict"] == "archived"
    assert answer["receipt"]["package_sha256"] == SHA256
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(gateway.get("/key").json()["key"]))
    canonical = json.dumps(answer["receipt"], sort_keys=True, separators=(",", ":")).encode()
    key.verify(base64.b64decode(answer["signature"]), canonical)


def test_a_repeat_changes_nothing(there: Inbox, gateway: httpx.Client):
    for _ in range(3):
        assert put(gateway).status_code == 202
    assert there.holds_once()
    there.registry.decide(SHA256)
    receipt = gateway.get(f"/packages/{SHA256}/receipt").content
    assert put(gateway).status_code == 202
    assert gateway.get(f"/packages/{SHA256}/receipt").content == receipt
    assert there.registry.waiting() == []


def test_other_bytes_than_the_name_says_are_refused(there: Inbox, gateway: httpx.Client):
    assert put(gateway, PACKAGE[:-1] + b"x", name=SHA256).status_code == 422
    assert put(gateway, PACKAGE[:-1], name=SHA256).status_code == 422
    assert put(gateway, PACKAGE + b"x", name=SHA256).status_code == 422
    assert there.is_empty()
    assert put(gateway).status_code == 202


def test_what_is_no_hash_is_refused(there: Inbox, gateway: httpx.Client):
    for name in ("x", SHA256.upper(), SHA256[:-1], SHA256 + "0", "..", "%2e%2e%2fx", "a" * 63 + "%00"):
        path = f"/packages/{name}"
        for answer in (gateway.put(path, content=PACKAGE), gateway.get(f"{path}/receipt"), gateway.head(path)):
            assert answer.status_code in (400, 404, 405), name
    assert there.is_empty()


def test_a_coded_body_is_refused(there: Inbox, gateway: httpx.Client):
    for encoding in ("gzip", "identity", "br"):
        assert put(gateway, **{"content-encoding": encoding}).status_code == 400
    assert there.is_empty()


def test_a_body_without_its_length_is_refused(there: Inbox, gateway: httpx.Client):
    answer = gateway.put(f"/packages/{SHA256}", content=iter([PACKAGE]))
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.status_code == 400
    assert put(gateway, b"").status_code == 400
    assert there.is_empty()


def test_what_is_not_declared_is_refused(there: Inbox, gateway: httpx.Client):
    for missing in DECLARED:
        headers = {name: value for name, value in gateway.headers.items() if name != missing}
        answer = httpx.put(f"{there.url}{INBOX}/packages/{SHA256}", content=PACKAGE, headers=headers, trust_env=False)
        assert answer.status_code == 400, missing
    assert put(gateway, **{"groundglass-collection": "unknown"}).status_code == 422
    assert put(gateway, **{"groundglass-profile": "x" * 201}).status_code == 400
    assert there.is_empty()


def test_a_token_speaks_for_its_centre_only(there: Inbox, gateway: httpx.Client):
    assert put(gateway, **{"groundglass-centre": "SOUTH"}).status_code == 403
    assert there.is_empty()
    assert put(gateway, **{"groundglass-centre": "NORTH"}).status_code == 202
    with there.client(None) as national:
        assert put(national, packed([9])).status_code == 403
        assert put(national, packed([9]), **{"groundglass-centre": "EAST"}).status_code == 202
    assert there.registry.rows("SELECT centre FROM inbox ORDER BY 1") == [("EAST",), ("NORTH",)]


def test_a_package_of_another_is_invisible(there: Inbox, gateway: httpx.Client):
    assert put(gateway).status_code == 202
    there.registry.decide(SHA256)
    with there.client("SOUTH") as south:
        absent = "ab" * 32
        assert south.head(f"/packages/{SHA256}").status_code == south.head(f"/packages/{absent}").status_code == 404
        seen, unseen = (south.get(f"/packages/{name}/receipt?wait=1") for name in (SHA256, absent))
        assert (seen.status_code, seen.content) == (unseen.status_code, unseen.content)
        assert seen.status_code == 404
    with there.client("NORTH", name="second gateway of the centre") as second:
        assert second.get(f"/packages/{SHA256}/receipt").status_code == 200


def test_a_package_that_is_too_large_is_refused_before_it_is_sent(there: Inbox, gateway: httpx.Client):
    with begun(gateway, b"", length=inbox.MAX_PACKAGE_BYTES + 1) as connection:
        assert b" 413 " in connection.recv(4096)
    assert there.is_empty()


def test_a_centre_with_too_much_waiting_has_no_room(there: Inbox, gateway: httpx.Client, monkeypatch):
    monkeypatch.setattr(inbox, "MAX_OPEN_BYTES", len(PACKAGE) + 10)
    assert put(gateway).status_code == 202
    more = packed([4])
    answer = put(gateway, more)
    assert (answer.status_code, answer.json()["type"]) == (507, "/problems/no-room")
    assert put(gateway).status_code == 202  # what is here already still is
    with there.client("SOUTH") as south:
        assert put(south, packed([5], series="2.25.3000")).status_code == 202
    there.registry.decide(SHA256)
    assert put(gateway, more).status_code == 202


def test_a_disk_without_room_says_so_before_a_byte_is_sent(there: Inbox, gateway: httpx.Client, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(door.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 100))
    with begun(gateway, b"") as connection:
        assert b" 507 " in connection.recv(4096)
    assert there.is_empty()
    monkeypatch.undo()
    assert shutil.disk_usage("/").free > 100
    assert put(gateway).status_code == 202


def test_a_cut_connection_leaves_nothing_and_the_next_put_works(there: Inbox, gateway: httpx.Client):
    incoming = inbox.incoming(there.registry.settings, "x").parent
    for sent in (0, 1, len(PACKAGE) // 2, len(PACKAGE) - 1):
        with begun(gateway, PACKAGE[:sent]):
            until(lambda: len(list(incoming.iterdir())) == 1)
        until(lambda: not list(incoming.iterdir()))
        assert there.is_empty()
    assert put(gateway).status_code == 202
    assert there.holds_once()


def test_the_same_put_at_once_from_many_is_one_package(there: Inbox, gateway: httpx.Client):
    together = threading.Barrier(6)

    def send(_: int) -> int:
        together.wait()
        return put(gateway).status_code

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(send, range(6))) == [202] * 6
    assert there.holds_once()


def test_two_halves_of_the_same_package_do_not_mix(there: Inbox, gateway: httpx.Client):
    half = len(PACKAGE) // 2
    with begun(gateway, PACKAGE[:half]) as first, begun(gateway, PACKAGE[:half]) as second:
        for connection in (second, first):
            connection.sendall(PACKAGE[half:])
            assert b" 202 " in connection.recv(4096)
    assert there.holds_once()


def test_slow_senders_do_not_block_the_others(there: Inbox, gateway: httpx.Client):
    incoming = inbox.incoming(there.registry.settings, "x").parent
    with contextlib.ExitStack() as slow:
        connections = [slow.enter_context(begun(gateway, PACKAGE[:100])) for _ in range(100)]
        until(lambda: len(list(incoming.iterdir())) == len(connections))
        took = []
        for number in range(20):
            begin = time.monotonic()
            assert put(gateway, packed([number], series=f"2.25.{4000 + number}")).status_code == 202
            assert gateway.get("/key").status_code == 200
            took.append(time.monotonic() - begin)
        assert sorted(took)[18] < 0.5
        connections[0].sendall(PACKAGE[100:])
        assert b" 202 " in connections[0].recv(4096)
    until(lambda: not list(incoming.iterdir()))


def test_a_receipt_is_waited_for(there: Inbox, gateway: httpx.Client, monkeypatch):
    assert put(gateway).status_code == 202
    asked = threading.Event()
    status = inbox.status

    def noticed(*arguments):
        asked.set()
        return status(*arguments)

    monkeypatch.setattr(inbox, "status", noticed)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(gateway.get, f"/packages/{SHA256}/receipt?wait=20", timeout=30)
        assert asked.wait(10)
        there.registry.decide(SHA256)
        begin = time.monotonic()
        assert answer.result(15).status_code == 200
        assert time.monotonic() - begin < 5
    begin = time.monotonic()
    other = packed([7])
    assert put(gateway, other).status_code == 202
    late = gateway.get(f"/packages/{hashlib.sha256(other).hexdigest()}/receipt?wait=1")
    assert (late.status_code, late.content) == (202, b"")
    assert 0.5 < time.monotonic() - begin < 5


def test_many_who_wait_for_receipts_do_not_block_the_others(there: Inbox, gateway: httpx.Client):
    assert put(gateway).status_code == 202
    with (
        there.client() as many,
        ThreadPoolExecutor(60) as threads,
    ):
        waiting = [threads.submit(many.get, f"/packages/{SHA256}/receipt?wait=2", timeout=30) for _ in range(60)]
        begin = time.monotonic()
        assert gateway.get("/key").status_code == 200
        assert time.monotonic() - begin < 1
        assert {one.result().status_code for one in waiting} == {202}


def test_nobody_waits_longer(gateway: httpx.Client):
    for wait in ("21", "-1", "x"):
        assert gateway.get(f"/packages/{SHA256}/receipt?wait={wait}").status_code == 422


COUNTS = dict.fromkeys(("received", "archived", "quarantined", "duplicates", "pending", "withdrawn"), 0)


def test_a_ledger_takes_the_place_of_the_one_before(there: Inbox, gateway: httpx.Client):
    for n in (3, 4):
        account = {**COUNTS, "received": n, "archived": n, "reasons": {}}
        ledger = {"total": account, "senders": {"CT_NORTH": account}}
        assert gateway.put("/ledger", json=ledger).status_code == 204
        assert there.registry.rows("SELECT centre, ledger FROM gateway_ledger") == [("NORTH", ledger)]


WRONG = [
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    json.dumps({"total": {**COUNTS, "reasons": {}}, "senders": {}, "more": 1}).encode(),
    json.dumps({"total": {**COUNTS, "received": -1, "reasons": {}}, "senders": {}}).encode(),
    json.dumps({"total": {**COUNTS, "received": 2**70, "reasons": {}}, "senders": {}}).encode(),
    json.dumps({"total": {**COUNTS, "received": "1", "reasons": {}}, "senders": {}}).encode(),
    json.dumps({"total": {**COUNTS, "reasons": {"DOE^JANE": 1}}, "senders": {}}).encode(),
    json.dumps({"total": {**COUNTS, "reasons": {}}, "senders": {"A\nB": {**COUNTS, "reasons": {}}}}).encode(),
    json.dumps({"total": {**COUNTS, "reasons": {}}, "senders": {"A" * 65: {**COUNTS, "reasons": {}}}}).encode(),
]


def test_what_is_no_ledger_is_refused(there: Inbox, gateway: httpx.Client):
    for number, body in enumerate(WRONG):
        answer = gateway.put("/ledger", content=body)
        assert answer.status_code == 422, number
        assert "DOE" not in answer.text
    assert there.registry.rows("SELECT 1 FROM gateway_ledger") == []


def test_a_ledger_of_any_size_is_not_read_to_its_end(there: Inbox, gateway: httpx.Client):
    assert gateway.put("/ledger", content=b" " * (2 << 20)).status_code == 413


def test_halves_of_an_earlier_process_are_gone_when_the_door_opens(there: Inbox, gateway: httpx.Client):
    half = inbox.incoming(there.registry.settings, "left.part")
    half.write_bytes(b"x")
    with serving(create_app(there.registry.settings)):
        assert not half.exists()
