"""Promise 1 on a bad network: what is cut is not received, what was sent is sent once more, and nobody is believed
who cannot sign."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from groundglass.client.receipts import canonical
from groundglass.demo import phantom
from groundglass.demo.elements import Part10
from support.archive import Archive
from support.cutting import Cutting, Exchange, Fault, answered, cut_after, cutting, page, swallowed
from support.raw_dicom import associated, store
from support.sending import outgoing, send
from support.stack import Stack, until

PACKAGES = "/inbox/packages/"
RECEIPT = "/receipt"
PATIENCE_SECONDS = 4.0  # with the times of a Stack, a job that may fail five times has failed for good
HTML = page("200 OK", b"<html><body>Bienvenue sur le portail captif</body></html>")


@pytest.fixture(scope="module")
def proxy() -> Iterator[Cutting]:
    with cutting() as running:
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, proxy: Cutting) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("cuts")) as running:
        running.stop()  # it has enrolled itself; from now on it goes by the proxy
        secrets = running.data / "gateway" / "secrets"
        running.settings |= {
            "GROUNDGLASS_GATEWAY__REGISTRY_URL": proxy.url,
            "GROUNDGLASS_GATEWAY__REGISTRY_TOKEN_FILE": str(secrets / "registry-token"),
            "GROUNDGLASS_GATEWAY__REGISTRY_KEY_FILE": str(secrets / "registry.pub"),
        }
        running.start()
        assert running.doors is not None
        proxy.target = running.doors.url
        yield running


def series(seed: int, *, slices: int = 6) -> list[Part10]:
    return list(phantom.objects(seed, slices=slices, rows=64, columns=64))


def must_arrive(stack: Stack, files: list[Part10], *, calling: str, seconds: float = 60) -> None:
    """Everything that this sender sent is archived once, with its pixels."""
    counts = stack.wait_quiet(len(files), sender=calling, seconds=seconds)
    assert (counts["received"], counts["archived"]) == (len(files), len(files)), counts
    with stack.client("curator") as client:
        archive = Archive(client)
        pixels = {one for found in archive.series() for one in archive.pixels(found)}
    assert {file.pixels for file in files} <= pixels


def test_a_store_that_is_cut_is_not_received(stack: Stack) -> None:
    files, before = series(100), stack.ledger()["total"]["received"]
    assert stack.doors is not None
    for file, share in zip(files, (0.0, 0.02, 0.5, 0.98, 0.999, 0.9999), strict=True):
        whole = store(outgoing(file))
        with associated(stack.doors.port, calling="CUT") as raw:
            raw.send(whole[: int(len(whole) * share)])
    assert stack.ledger()["total"]["received"] == before
    assert send(stack, files, calling="CUT") == [0] * len(files)
    must_arrive(stack, files, calling="CUT")


def test_an_answer_that_is_lost_counts_and_the_repeat_is_a_duplicate(stack: Stack) -> None:
    files = series(200, slices=3)
    assert stack.doors is not None
    with associated(stack.doors.port, calling="UNHEARD") as raw:
        raw.send(*(store(outgoing(file)) for file in files))  # and go, without a look at the answers
        until(lambda: len(stack.ledger()["senders"].get("UNHEARD", {})) > 0, 20)
    assert send(stack, files, calling="UNHEARD") == [0, 0, 0]
    counts = stack.wait_quiet(3, sender="UNHEARD")
    assert counts["archived"] == 3
    assert counts["received"] == 3 + counts["duplicates"]


def test_a_put_that_is_cut_or_not_answered_is_sent_again(stack: Stack, proxy: Cutting) -> None:
    faults = [cut_after(0), cut_after(1), cut_after(3000), cut_after(40_000), swallowed]
    faults += [answered(b""), answered(b"\0\xff garbage\r\n\r\n"), answered(page("200 OK", b"")[:-9])]
    must_survive(stack, proxy, "PUT", PACKAGES, faults, seed=300, calling="PUTS")


def test_a_registry_that_is_away_is_waited_for(stack: Stack, proxy: Cutting) -> None:
    away = [page(status, b"<html>") for status in ("502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout")]
    away += [page("302 Found", b""), page("404 Not Found", b""), page("401 Unauthorized", b""), page("429 Slow", b"")]
    faults = [answered(one) for one in away]
    must_survive(stack, proxy, "PUT", PACKAGES, faults, seed=320, calling="AWAY")


def test_a_receipt_that_is_cut_or_not_one_is_asked_for_again(stack: Stack, proxy: Cutting) -> None:
    answers = [b"", page("503 Service Unavailable", b""), page("200 OK", b"[]"), page("200 OK", b"\xff{"), HTML]
    faults = [swallowed, *(answered(one) for one in answers)]
    must_survive(stack, proxy, "GET", RECEIPT, faults, seed=340, calling="RECEIPTS")


def must_survive(
    stack: Stack, proxy: Cutting, method: str, path: str, faults: list[Fault], *, seed: int, calling: str
) -> None:
    """Send as many series as there are faults, and let each fault meet one of their requests."""
    files = [file for n in range(len(faults)) for file in series(seed + n, slices=2)]
    proxy.plan(method, path, *faults)
    assert send(stack, files, calling=calling) == [0] * len(files)
    until(lambda: not proxy.waiting, 60, lambda: f"{proxy.waiting} faults were never met")
    must_arrive(stack, files, calling=calling)


def test_a_portal_that_answers_everything_with_a_page_is_outwaited(stack: Stack, proxy: Cutting) -> None:
    files = series(400)
    with proxy.always("/", answered(HTML)):
        must_keep(stack, proxy, files, path="/", calling="PORTAL")
    must_arrive(stack, files, calling="PORTAL")


def test_a_forged_receipt_is_not_believed(stack: Stack, proxy: Cutting) -> None:
    files = series(500)
    with proxy.always(RECEIPT, forged):
        must_keep(stack, proxy, files, path=RECEIPT, calling="FORGED")
    must_arrive(stack, files, calling="FORGED")


def test_the_receipt_of_another_package_is_not_believed(stack: Stack, proxy: Cutting) -> None:
    heard: list[bytes] = []
    proxy.plan("GET", RECEIPT, lambda exchange: heard.append(exchange.relay()))
    send(stack, series(510), calling="FIRST")
    stack.wait_quiet(6, sender="FIRST")
    assert b'"signature"' in heard[0]
    files = series(511)
    with proxy.always(RECEIPT, answered(heard[0])):
        must_keep(stack, proxy, files, path=RECEIPT, calling="REPLAYED")
    must_arrive(stack, files, calling="REPLAYED")


def forged(exchange: Exchange) -> None:
    """A refusal of just this package, signed well, by somebody else."""
    sha256 = exchange.path.split(PACKAGES)[1].split("/")[0]
    receipt = {"number": "1", "package_sha256": sha256, "verdict": "archived", "reasons": []}
    signature = base64.b64encode(Ed25519PrivateKey.generate().sign(canonical(receipt))).decode()
    body = json.dumps({"receipt": receipt, "signature": signature}).encode()
    exchange.say(page("200 OK", body, "application/json"))


def must_keep(stack: Stack, proxy: Cutting, files: list[Part10], *, path: str, calling: str) -> None:
    """While nobody can be believed everything is pending, in the spool and in the outbox."""
    met = proxy.met[path]
    assert send(stack, files, calling=calling) == [0] * len(files)
    until(lambda: proxy.met[path] > met, 30, lambda: "nobody asked")
    threading.Event().wait(PATIENCE_SECONDS)
    counts = stack.ledger()["senders"][calling]
    assert counts["pending"] == counts["received"] == len(files)
    gateway = stack.data / "gateway"
    assert list((gateway / "outbox").glob("*.zip"))
    assert sum(path.stat().st_size for path in (gateway / "spool").glob("*.seg")) > sum(len(f.pixels) for f in files)


@pytest.mark.soak
def test_100_random_cuts(stack: Stack, proxy: Cutting) -> None:
    chance = random.Random(100)
    faults = [chance.choice([cut_after(chance.randrange(60_000)), swallowed]) for _ in range(50)]
    must_survive(stack, proxy, "PUT", PACKAGES, faults, seed=1000, calling="SOAK_PUT")
    faults = [swallowed if chance.random() < 0.5 else answered(b"HTTP/1.1 200 OK\r\n") for _ in range(50)]
    must_survive(stack, proxy, "GET", RECEIPT, faults, seed=2000, calling="SOAK_GET")
