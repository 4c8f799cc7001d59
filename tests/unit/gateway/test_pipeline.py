"""One settled series from spool to outbox, and what a refusal makes of it."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import pytest

from groundglass.client.receipts import Verdict
from groundglass.config import Settings
from groundglass.core.jobs import Context
from groundglass.demo import phantom, variants
from groundglass.demo.elements import Part10
from groundglass.gateway import ferry, ledger, pipeline
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
