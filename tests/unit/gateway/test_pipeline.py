"""One settled series from spool to outbox, and what a refusal makes of it."""

from __future__ import annotations

import dataclasses
import errno
import json
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import pytest

from groundglass.client.inbox import InboxRefusedError
from groundglass.client.receipts import Verdict
from groundglass.config import Settings
from groundglass.core.jobs import Context, Later
from groundglass.demo import phantom, variants
from groundglass.demo.elements import Part10
from groundglass.errors import GroundglassError
from groundglass.gateway import ferry, items, ledger, pipeline
from groundglass.gateway.intake import Intake, settle
from groundglass.gateway.spool import Origin, Spool
from groundglass.series.package import read_manifest

TOKEN = b"t" * 32


@pytest.fixture
def spool(settings: Settings) -> Iterator[Spool]:
    opened = Spool(settings.gateway_dir / "spool", key=bytes(32), segment_bytes=1 << 20, high_water_pct=100)
    yield opened
    opened.close()


def series(seed: int = 1, slices: int = 4) -> list[Part10]:
    return list(phantom.objects(seed, slices=slices, rows=32, columns=32))


def settled(settings: Settings, spool: Spool, connection: psycopg.Connection, files: Iterable[Part10]) -> int:
    """Put files into the spool and settle them; return the intake."""
    for file in files:
        spool.append([file.to_bytes()], Origin("CT1", 1, TOKEN, bytes(32), 0))
    intake = Intake(settings)
    intake._recover(connection)
    settle(connection, TOKEN, collection="fidac")
    row = connection.execute("SELECT max(id) FROM intake").fetchone()
    connection.commit()
    assert row
    return int(row[0])


def process(settings: Settings, connection: psycopg.Connection, intake_id: int) -> pipeline.Work:
    pipeline.process(Context(settings, "gateway"), intake_id=intake_id)
    work = pipeline.load(connection, intake_id)
    connection.commit()
    return work


def package(settings: Settings, work: pipeline.Work) -> Path:
    assert work.package_sha256
    return pipeline.package_path(settings, work.package_sha256)


def test_doing_it_twice_changes_nothing(settings: Settings, spool: Spool, gateway_db: psycopg.Connection) -> None:
    intake_id = settled(settings, spool, gateway_db, series())
    work = process(settings, gateway_db, intake_id)
    before = ledger.ledger(settings)
    assert process(settings, gateway_db, intake_id) == work
    assert ledger.ledger(settings) == before
    assert before["total"]["pending"] == 4
    with package(settings, work).open("rb") as file:
        assert len(read_manifest(file.fileno()).instances) == 4


def test_a_package_that_is_lost_is_made_again(settings: Settings, spool: Spool, gateway_db: psycopg.Connection) -> None:
    work = process(settings, gateway_db, settled(settings, spool, gateway_db, series()))
    whole = package(settings, work).read_bytes()
    package(settings, work).unlink()
    assert work.package_sha256
    path = pipeline.ensure_package(gateway_db, settings, work, work.package_sha256)
    assert path.read_bytes() == whole


def test_the_same_again_is_a_duplicate_and_other_pixels_are_held_back(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection
) -> None:
    files = series()
    process(settings, gateway_db, settled(settings, spool, gateway_db, files))
    late = process(
        settings, gateway_db, settled(settings, spool, gateway_db, [files[0], variants.other_pixels(files[1])])
    )
    assert late.state == "done"
    counts = ledger.ledger(settings)["total"]
    assert (counts["pending"], counts["duplicates"], counts["quarantined"]) == (4, 1, 1)
    assert counts["reasons"] == {"uid_conflict": 1}


def test_what_is_held_back_is_kept_for_the_hospital_only(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection
) -> None:
    odd = variants.localizer(series()[0])
    process(settings, gateway_db, settled(settings, spool, gateway_db, [odd]))
    (folder,) = (settings.gateway_dir / "quarantine").iterdir()
    assert (folder / "original.dcm").read_bytes() == odd.to_bytes()
    reason = json.loads((folder / "reason.json").read_text())
    assert set(reason) == {"code", "grade", "message"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    row = gateway_db.execute("SELECT id, code, state FROM quarantine").fetchone()
    assert row == (int(folder.name), reason["code"], "held")


@pytest.mark.parametrize(("told", "code"), [("identity_residue", "identity_residue"), ("newer", "refused_by_registry")])
def test_a_refused_package_is_held_back_with_its_originals(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection, told: str, code: str
) -> None:
    files = series()
    work = process(settings, gateway_db, settled(settings, spool, gateway_db, files))
    verdict = Verdict("R-1", refused=True, code=told)
    ferry._store(gateway_db, settings, work, {"receipt": {}}, verdict)
    counts = ledger.ledger(settings)["total"]
    assert (counts["pending"], counts["archived"], counts["quarantined"]) == (0, 0, 4)
    assert counts["reasons"] == {code: 4}
    kept = {path.read_bytes() for path in (settings.gateway_dir / "quarantine").glob("*/original.dcm")}
    assert kept == {file.to_bytes() for file in files}
    again = process(settings, gateway_db, settled(settings, spool, gateway_db, files))
    assert again.state == "packed", "what was refused is not known as sent"


def test_a_fault_of_the_disk_is_no_verdict(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = settled(settings, spool, gateway_db, series())
    with monkeypatch.context() as broken:
        broken.setattr(items.Segments, "read", _fails)
        with pytest.raises(OSError, match="Input"):
            pipeline.process(Context(settings, "gateway"), intake_id=number)
    assert process(settings, gateway_db, number).state == "packed"
    assert ledger.ledger(settings)["total"]["pending"] == 4


def test_a_refusal_that_would_lose_an_original_is_not_carried_out(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = process(settings, gateway_db, settled(settings, spool, gateway_db, series()))
    judged = pipeline.judge_intake(gateway_db, settings, work, items.Segments(settings.gateway_dir / "spool"))
    gateway_db.commit()
    fewer = dataclasses.replace(judged, clean=judged.clean[1:])
    monkeypatch.setattr(ferry, "judge_intake", lambda *_: fewer)
    with pytest.raises(GroundglassError, match="spool"):
        ferry._store(gateway_db, settings, work, {}, Verdict("R-1", refused=True, code="conformance"))
    assert ledger.ledger(settings)["total"]["pending"] == 4


@pytest.mark.parametrize("status", [400, 422])
def test_a_package_that_a_power_cut_emptied_is_made_again(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    work = process(settings, gateway_db, settled(settings, spool, gateway_db, series()))
    package(settings, work).write_bytes(b"")
    registry = _Registry(status)
    monkeypatch.setattr(ferry, "inbox", lambda _: registry)
    with pytest.raises(InboxRefusedError):
        ferry.send(Context(settings, "gateway"), intake_id=work.id)
    ferry.send(Context(settings, "gateway"), intake_id=work.id)
    assert registry.sizes[0] == 0 < registry.sizes[1]


def test_a_package_that_stays_undecided_holds_no_worker(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = process(settings, gateway_db, settled(settings, spool, gateway_db, series()))
    registry = _Registry(202)
    monkeypatch.setattr(ferry, "inbox", lambda _: registry)
    pauses = []
    for age in ("1 second", "1 day"):
        gateway_db.execute("UPDATE intake SET settled_at = now() - %s::interval", (age,))
        gateway_db.commit()
        with pytest.raises(Later) as later:
            ferry.receive(Context(settings, "gateway"), intake_id=work.id)
        pauses.append(later.value.seconds)
    assert registry.waits == [5, 0]
    assert pauses == [0.1, 60.0]


@pytest.mark.parametrize("missing", ["registry_token_file", "registry_key_file"])
def test_a_gateway_waits_until_it_is_enrolled(
    settings: Settings, spool: Spool, gateway_db: psycopg.Connection, tmp_path: Path, missing: str
) -> None:
    work = process(settings, gateway_db, settled(settings, spool, gateway_db, series()))
    (token := tmp_path / "token").write_text("gg_x")
    files = {"registry_token_file": token, "registry_key_file": token, missing: tmp_path / "absent"}
    given = settings.gateway.model_copy(update={"registry_url": "http://127.0.0.1:1", **files})
    enrolled = Context(settings.model_copy(update={"gateway": given}), "gateway")
    for job in (ferry.send, ferry.receive):
        with pytest.raises(Later):
            job(enrolled, intake_id=work.id)
    with pytest.raises(Later):
        ferry.send(Context(settings, "gateway"), intake_id=work.id)


def _fails(*_: object) -> bytes:
    raise OSError(errno.EIO, "Input/output error")


class _Registry:
    """Refuses an empty package with a status, takes any other, and never decides."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.sizes: list[int] = []
        self.waits: list[int] = []

    def has(self, _sha256: str) -> bool:
        return False

    def put(self, _sha256: str, path: Path, **_: str) -> None:
        self.sizes.append(path.stat().st_size)
        if self.sizes[-1] == 0:
            raise InboxRefusedError(self._status, b"")

    def receipt(self, _sha256: str, *, wait_seconds: int) -> None:
        self.waits.append(wait_seconds)
