"""No identity beyond the hospital's own folders (security.md A16), and none in what anybody operating it looks at.

Identities are planted wherever a CT can hide one, sent, archived, held back, asked for and complained about. Then
everything that is kept or shown is searched: folders, every table, logs, metrics, pages, arguments of processes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql

from groundglass.core.postgres import Postgres
from groundglass.demo import identities, phantom, planting, sender, variants
from groundglass.demo.elements import Element, Part10
from support.identities import residues
from support.raw_dicom import Raw, request
from support.sending import outgoing, peer, send
from support.stack import Stack

SEED = 900
CHARSETS = ("ISO_IR 100", "ISO_IR 192")
UIDS = (0x00080018, 0x0020000D, 0x0020000E, 0x00200052)
PAGES = (
    *(("registry", "admin", path) for path in ("/", "/registre", "/metrics", "/readyz")),
    *(("registry", "curator", path) for path in ("/etudes", "/registre")),
    *(("gateway", "admin", path) for path in ("/", "/quarantaine", "/registre", "/readyz")),
)
INJECTIONS = tuple(
    f"{mark}{text}" for mark in ("\n", "\r\n", "\0", '"}\n', "\x1b[2J") for text in ("{}", '{"event":1}')
)


def planted() -> list[Part10]:
    """Every place alone, in two character sets, and all places together in objects that are held back."""
    someone, files = identities.person(SEED), []
    for index, place in enumerate(planting.PLACES_IN_DATA_SET):
        (file,) = phantom.objects(SEED + index, slices=1, rows=32, columns=32, charset=CHARSETS[index % 2])
        files.append(planting.plant(file, someone, places=[place]))
    (last,) = phantom.objects(SEED - 1, slices=1, rows=32, columns=32)
    everywhere = planting.plant(last, someone)
    held = [variants.localizer(everywhere), variants.secondary_capture(everywhere), variants.burned_in(everywhere)]
    return [*files, everywhere, *held, dataclasses.replace(held[0], pixels=b"")]


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """A stack to which identities were sent, and what must be found nowhere."""

    stack: Stack
    secrets: tuple[str, ...]
    files: list[Part10]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    files = planted()
    with Stack(tmp_path_factory.mktemp("identity")) as stack:
        assert send(stack, files, calling="HOSPITAL") == [0] * len(files)
        counts = stack.wait_quiet(len(files))["total"]
        assert counts["archived"] > len(files) / 3, f"too few passed for the search to mean much: {counts}"
        assert counts["quarantined"] >= 3, counts
        uids = {file[tag] for file in files for tag in UIDS if file[tag]}
        yield Sent(stack, (*planting.secrets(identities.person(SEED)), *sorted(uids)), files)


def test_the_search_finds_what_is_there(sent: Sent) -> None:
    assert residues(sent.stack.data / "gateway" / "quarantine", sent.secrets)
    assert residues(sent.files[0].to_bytes(), [sent.files[0][0x0020000D]])


def test_folders_beyond_the_hospitals_own(sent: Sent) -> None:
    data = sent.stack.data
    places = [data / "registry", data / "postgres", data / "secrets", data / "gateway" / "outbox"]
    assert residues([place for place in places if place.exists()], sent.secrets) == []


@pytest.mark.parametrize("zone", ["gateway", "registry"])
def test_every_table_jobs_and_audit_included(sent: Sent, zone: str) -> None:
    tables = dict(dump(sent.stack, zone))
    assert {"event", "procrastinate_jobs", "procrastinate_events", "effect"} <= set(tables)
    assert tables["event"]
    assert [
        found for name, rows in tables.items() for found in residues(name.encode() + b"\n" + rows, sent.secrets)
    ] == []


def dump(stack: Stack, zone: str) -> Iterator[tuple[str, bytes]]:
    """Yield every table of a zone as text, and its binary columns as bytes too."""
    server = Postgres(stack.data / "postgres", stack.data / "secrets" / "postgres")
    with psycopg.connect(server.conninfo(zone)) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))).fetchall()
            raw = b"\n".join(value for row in rows for value in row if isinstance(value, bytes))
            text = connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))).fetchall()
            yield name, "\n".join(row[0] for row in text).encode() + b"\n" + raw


def test_logs_even_after_complaints(sent: Sent) -> None:
    complain(sent)
    assert len(sent.stack.events()) > 3
    assert residues(sent.stack.logs, sent.secrets) == []


def complain(sent: Sent) -> None:
    """Do what makes software print what it was given: odd requests, broken objects, cut connections."""
    file = outgoing(sent.files[0])
    broken = [dataclasses.replace(file, data_set=file.data_set[: len(file.data_set) // share]) for share in (2, 3, 7)]
    send_quietly(sent.stack, [*broken, dataclasses.replace(file, sop_instance_uid=f"{file.sop_instance_uid}/..")])
    for answer in asked_for(sent):
        assert residues(answer.content + repr(answer.headers).encode(), sent.secrets) == [], answer.status_code
    sent.stack.wait_quiet()


def send_quietly(stack: Stack, objects: list[sender.Outgoing]) -> None:
    for one in objects:
        with contextlib.suppress(sender.SendError, OSError):
            sender.send(peer(stack, calling="HOSPITAL"), [one])


def asked_for(sent: Sent) -> Iterator[httpx.Response]:
    """Ask by original values, as one would who knows them: the answer does not say them again."""
    name, uid = sent.secrets[0], sent.files[0][0x0020000D]
    with sent.stack.client("curator") as client:
        for path in (
            f"/dicom-web/studies/{uid}/metadata",
            f"/api/v1/series/{uid}/package",
            f"/{name}",
            f"/studies/{uid}",
        ):
            yield client.get(path)
        yield client.get("/dicom-web/studies", params={"PatientName": name})
        yield client.get("/dicom-web/studies", params={"PatientID": name, "limit": name})
        yield client.post("/dicom-web/studies", content=sent.files[0].to_bytes())
    with sent.stack.client("gateway") as client:
        yield client.put(f"/api/v1/inbox/packages/{name}", content=sent.files[0].to_bytes())
        yield client.put("/api/v1/inbox/ledger", json={"total": {name: uid}, "senders": {name: {}}})
    with sent.stack.client("admin", zone="gateway") as client:
        yield client.get(f"/quarantaine/{name}")
        yield client.get("/quarantaine", params={"code": name})
    with sent.stack.client(None) as client:
        yield client.get(f"/etudes/{name}")
        yield client.post("/login", data={"name": name, "password": name})


def test_pages_and_metrics(sent: Sent) -> None:
    for zone, role, path in PAGES:
        with sent.stack.client(role, zone=zone) as client:
            answer = client.get(path, headers={"Accept": "text/html,*/*"})
        assert answer.status_code == 200, (zone, role, path)
        assert residues(answer.content, sent.secrets) == [], (zone, role, path)


def test_arguments_of_processes(sent: Sent) -> None:
    tree = [psutil.Process(sent.stack.pid), *psutil.Process(sent.stack.pid).children(recursive=True)]
    lines = []
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            lines += ["\0".join(process.cmdline()), *process.environ().values()]
    assert len(lines) > 10
    assert residues("\n".join(lines).encode(), sent.secrets) == []


def test_the_exported_audit_log(sent: Sent, tmp_path: Path) -> None:
    out = tmp_path / "audit.jsonl"
    assert sent.stack.run("audit", "export", "--out", out).returncode == 0
    assert out.stat().st_size > 1000
    assert residues(out, sent.secrets) == []


def test_nothing_that_is_sent_writes_a_line_of_the_log(sent: Sent) -> None:
    assert sent.stack.doors is not None
    before, file = len(sent.stack.events()), sent.files[0]
    for text in INJECTIONS:
        raw = Raw(sent.stack.doors.port)
        with raw.socket:
            raw.send(request(calling=text[:16].ljust(1)))
            raw.pdu()
        changed = file.with_elements(Element(0x0020000E, "UI", text), Element(0x00100010, "PN", text))
        send_quietly(sent.stack, [outgoing(dataclasses.replace(file, elements=changed))])
        with sent.stack.client(None) as client:
            client.get("/dicom-web/studies", headers={"User-Agent": text.encode().hex(), "X-Request-Id": "{}"})
    sent.stack.wait_quiet()
    lines = [line for path in sent.stack.logs.glob("*.stderr") for line in path.read_text().splitlines()]
    loose = [line for line in lines if not line.startswith(("{", "administrator:"))]
    assert loose == []
    assert all(isinstance(json.loads(line).get("event", ""), str) for line in lines if line.startswith("{"))
    assert len(sent.stack.events()) >= before
