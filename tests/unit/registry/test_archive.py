"""A package becomes the next version of its series, or is refused; either way once, with a signed receipt."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import threading

import pytest

from groundglass.core import audit
from groundglass.core.objects.folder import FolderObjects
from groundglass.errors import GroundglassError
from groundglass.registry import archive, inbox, inspection, receipts, sweep
from groundglass.registry.tasks import HANDLERS, SWEEPERS
from groundglass.series import package
from groundglass.series.manifest import Manifest
from support import part10
from support.packages import Registry, packed

FOLDER = f"packages/fidac/{part10.SERIES}"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_new_series_is_archived(registry: Registry):
    data = packed([1, 2, 3])
    receipt = registry.deliver(data)
    assert receipt["verdict"] == "archived"
    assert (receipt["series_version"], receipt["instances"], receipt["bytes"]) == (1, 3, len(data))
    assert receipt["package_sha256"] == sha(data)
    stored = registry.stored()
    assert set(stored) == {f"{FOLDER}/{sha(data)}{kind}" for kind in (".zip", ".json", ".headers.json.gz")}
    assert stored[f"{FOLDER}/{sha(data)}.zip"] == data
    manifest = Manifest.from_json(stored[f"{FOLDER}/{sha(data)}.json"])
    assert manifest.sha256 == sha(data)
    headers = json.loads(gzip.decompress(stored[f"{FOLDER}/{sha(data)}.headers.json.gz"]))
    assert [each["00080018"]["Value"][0] for each in headers] == [i.sop_instance_uid for i in manifest.instances]
    assert registry.waiting() == []


def test_the_index_says_what_can_be_queried(registry: Registry):
    registry.deliver(packed([1, 2]))
    registry.deliver(packed([1], series="2.25.3000"))
    ((study),) = registry.rows(
        "SELECT study_instance_uid, collection, centre, patient_id, patient_sex, patient_age, study_date,"
        " modalities, series_count, instance_count FROM study"
    )
    assert study == (part10.STUDY, "fidac", "NORTH", "GG-000001", "F", "060Y", None, ["CT"], 2, 3)
    assert registry.rows(
        "SELECT series_instance_uid, modality, series_number, series_description, body_part, instances, version"
        " FROM series ORDER BY id"
    ) == [
        (part10.SERIES, "CT", 3, "THORAX", "CHEST", 2, 1),
        ("2.25.3000", "CT", 3, "THORAX", "CHEST", 1, 1),
    ]


def test_late_instances_make_a_version_equal_to_packing_all_at_once(registry: Registry):
    first = registry.deliver(packed([1, 3]))
    second = registry.deliver(packed([2, 4]))
    whole = packed([1, 2, 3, 4])
    assert (first["series_version"], second["series_version"], second["instances"]) == (1, 2, 4)
    assert registry.stored()[f"{FOLDER}/{sha(whole)}.zip"] == whole
    assert registry.rows("SELECT version, sha256, previous FROM package ORDER BY version") == [
        (1, bytes.fromhex(sha(packed([1, 3]))), None),
        (2, bytes.fromhex(sha(whole)), bytes.fromhex(sha(packed([1, 3])))),
    ]
    assert registry.rows("SELECT instance_count, bytes FROM study") == [(4, len(whole))]


def test_the_bytes_of_old_versions_go_after_the_commit(registry: Registry):
    registry.deliver(packed([1]))
    registry.deliver(packed([2]))
    assert len(registry.stored()) == 6
    ((task, args),) = registry.rows("SELECT task_name, args FROM procrastinate_jobs WHERE task_name = 'registry.tidy'")
    HANDLERS[task](registry.context, **args)
    HANDLERS[task](registry.context, **args)
    assert {key.split("/")[-1].split(".")[0] for key in registry.stored()} == {sha(packed([1, 2]))}


def test_a_part_with_nothing_new_gets_the_receipt_of_the_current_version(registry: Registry):
    registry.deliver(packed([1, 2, 3]))
    receipt = registry.deliver(packed([2, 3]))
    assert (receipt["verdict"], receipt["series_version"], receipt["instances"]) == ("archived", 1, 3)
    assert len(registry.stored()) == 3


def test_doing_it_twice_changes_nothing(registry: Registry):
    sha256 = registry.send(packed([1]))
    first = registry.decide(sha256)
    before = registry.stored(), registry.rows("SELECT count(*) FROM event")
    assert registry.decide(sha256) == first
    registry.send(packed([1]))
    assert registry.decide(sha256) == first
    assert before == (registry.stored(), registry.rows("SELECT count(*) FROM event"))
    assert registry.waiting() == []


def test_the_receipt_is_signed_and_names_the_audit_event(registry: Registry):
    sha256 = registry.send(packed([1]))
    registry.decide(sha256)
    found = inbox.status(registry.conn, sha256)
    assert found is not None
    assert found.answer is not None
    key = receipts.public_key(registry.settings)
    assert receipts.verify(key, found.answer)
    forged = {**found.answer, "receipt": {**found.answer["receipt"], "instances": 2}}
    assert not receipts.verify(key, forged)
    assert not receipts.verify(bytes(32), found.answer)
    ((head,),) = registry.rows("SELECT encode(hash, 'hex') FROM event WHERE action = 'package.archived'")
    assert found.answer["receipt"]["audit_head"] == head
    assert audit.verify(registry.conn) is None


def test_the_receipts_number_follows_from_nothing(registry: Registry):
    numbers = {receipts.new_number() for _ in range(100)}
    assert len(numbers) == 100
    assert all(len(number) == 12 and number.startswith("R-") for number in numbers)
    key = registry.settings.registry_dir / "secrets" / "receipt.key"
    receipts.public_key(registry.settings)
    assert key.stat().st_mode & 0o777 == 0o600


REFUSED = {
    "no zip": (b"hello", {}, "invalid_package"),
    "a byte is missing": (packed([1])[:-1], {}, "invalid_package"),
    "other bytes under a UID": (packed([2], seed=5), {}, "uid_conflict"),
    "another study": (packed([9], study="2.25.55"), {}, "wrong_subject"),
    "another patient": (packed([9], patient="GG-000002"), {}, "wrong_subject"),
    "two patients": (packed([8], [(9, "GG-9")]), {}, "wrong_subject"),
    "another centre": (packed([9]), {"centre": "SOUTH"}, "foreign_series"),
    "another collection": (packed([10]), {"collection": "second"}, "foreign_series"),
    "a new series in another centre's study": (packed([2], series="2.25.7"), {"centre": "SOUTH"}, "foreign_series"),
    "a new series of another patient": (packed([1], series="2.25.7", patient="GG-2"), {}, "wrong_subject"),
}


def test_what_does_not_fit_is_refused_and_nothing_of_it_stays(registry: Registry):
    registry.conn.execute("INSERT INTO collection (code) VALUES ('second')")
    registry.conn.commit()
    registry.deliver(packed([1, 2]))
    before = registry.stored()
    for what, (data, options, reason) in REFUSED.items():
        receipt = registry.deliver(data, **options)
        assert (receipt["verdict"], receipt["reasons"], receipt["series_version"]) == ("refused", [reason], 0), what
        assert registry.stored() == before, what
        assert registry.waiting() == [], what
    assert registry.rows("SELECT count(*) FROM package") == [(1,)]
    refused = registry.rows("SELECT detail->'reasons'->>0 FROM event WHERE action = 'package.refused' ORDER BY id")
    assert refused == [(reason,) for _, _, reason in REFUSED.values()]


def test_a_refused_package_stays_refused(registry: Registry):
    first = registry.deliver(b"hello")
    assert registry.deliver(b"hello") == first
    assert registry.waiting() == []


def test_one_finding_of_the_verifier_refuses_the_package(registry: Registry, monkeypatch):
    asked = []

    def check(head, size, *, seeds=()):
        asked.append((len(head), size))
        if len(head) < size:
            return inspection.verify.NeedMore(size)
        return (inspection.verify.Finding("identity_residue", 0x00100010),) if len(asked) > 3 else ()

    monkeypatch.setattr(inspection.verify, "check", check)
    monkeypatch.setattr(inspection, "_HEAD_BYTES", 200)
    receipt = registry.deliver(packed([1, 2]))
    assert (receipt["verdict"], receipt["reasons"]) == ("refused", ["identity_residue"])
    assert [head for head, _ in asked] == [200, asked[1][1], 200, asked[3][1]]
    assert registry.stored() == {}


def test_a_verifier_that_is_never_satisfied_is_a_refusal(registry: Registry, monkeypatch):
    monkeypatch.setattr(inspection.verify, "check", lambda head, size: inspection.verify.NeedMore(size + 1))
    assert registry.deliver(packed([1]))["reasons"] == ["too_large"]


def test_classes_that_the_collection_does_not_take_are_refused(registry: Registry):
    other = "1.2.840.10008.5.1.4.1.1.7"
    data = part10.ct(1).replace(part10.CT.encode() + b"\0", other.encode() + b"\0")
    assert data.count(other.encode()) == 2
    out_of = part10.SERIES + ".1"
    out = io.BytesIO()
    package.pack([package.Member(out_of, (data,))], out)
    assert registry.deliver(out.getvalue())["reasons"] == ["sop_class_unknown"]


def test_bytes_that_changed_since_they_were_received_are_asked_for_again(registry: Registry):
    data = packed([1])
    sha256 = registry.send(data)
    path = inbox.path_of(registry.settings, sha256)
    path.write_bytes(data[:-5] + bytes(5))
    archive.archive(registry.context, sha256=sha256)
    assert inbox.status(registry.conn, sha256) is None
    registry.conn.commit()
    assert registry.waiting() == []
    assert registry.deliver(data)["verdict"] == "archived"


def test_bytes_that_are_gone_are_asked_for_again(registry: Registry):
    sha256 = registry.send(packed([1]))
    inbox.path_of(registry.settings, sha256).unlink()
    archive.archive(registry.context, sha256=sha256)
    assert inbox.status(registry.conn, sha256) is None


def test_a_stored_version_that_rotted_is_no_fault_of_the_sender(registry: Registry):
    registry.deliver(packed([1]))
    key = f"{FOLDER}/{sha(packed([1]))}.zip"
    path = registry.settings.registry_dir / "objects" / key
    path.chmod(0o600)
    data = path.read_bytes()
    path.write_bytes(data[:600] + bytes([data[600] ^ 1]) + data[601:])
    sha256 = registry.send(packed([2]))
    with pytest.raises(GroundglassError):
        archive.archive(registry.context, sha256=sha256)
    found = inbox.status(registry.conn, sha256)
    assert found is not None
    assert found.state == "received"
    assert inbox.path_of(registry.settings, sha256).exists()


def test_a_store_elsewhere_is_read_through_a_copy_that_goes_away(registry: Registry, monkeypatch):
    monkeypatch.setattr(FolderObjects, "local_path", lambda self, key: None)
    registry.deliver(packed([1]))
    registry.deliver(packed([2]))
    assert packed([1, 2]) in registry.stored().values()
    assert registry.waiting() == []


def test_two_workers_on_one_series_make_two_versions(registry: Registry):
    parts = [registry.send(packed([n, n + 10])) for n in range(1, 7)]
    threads = [threading.Thread(target=archive.archive, args=(registry.context,), kwargs={"sha256": p}) for p in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = packed([n for each in range(1, 7) for n in (each, each + 10)])
    assert sorted(registry.receipt(part)["series_version"] for part in parts) == [1, 2, 3, 4, 5, 6]
    assert registry.rows("SELECT version, package_sha256 FROM series") == [(6, bytes.fromhex(sha(whole)))]
    assert registry.stored()[f"{FOLDER}/{sha(whole)}.zip"] == whole


def test_two_workers_on_one_package_have_one_effect(registry: Registry):
    sha256 = registry.send(packed([1]))
    faults = []

    def work() -> None:
        try:
            archive.archive(registry.context, sha256=sha256)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert registry.rows("SELECT count(*) FROM event WHERE action = 'package.archived'") == [(1,)]
    assert registry.rows("SELECT count(*) FROM effect WHERE kind = 'registry.archive'") == [(1,)]
    assert registry.receipt(sha256)["series_version"] == 1


def test_the_sweeper_gives_lost_packages_a_job_and_removes_leftovers(registry: Registry):
    sha256 = registry.send(packed([1]))
    registry.conn.execute("DELETE FROM procrastinate_jobs")
    registry.conn.execute("UPDATE inbox SET received_at = now() - interval '1 day'")
    registry.conn.commit()
    half = inbox.incoming(registry.settings, "half")
    half.write_bytes(b"half")
    young = inbox.incoming(registry.settings, "young")
    young.write_bytes(b"young")
    orphan = inbox.path_of(registry.settings, "ab" * 32)
    orphan.write_bytes(b"orphan")
    for path in (half, orphan, inbox.path_of(registry.settings, sha256)):
        os.utime(path, (1, 1))
    for sweeper in SWEEPERS:
        sweeper(registry.context)
        sweeper(registry.context)
    assert registry.rows("SELECT task_name, args FROM procrastinate_jobs") == [("registry.archive", {"sha256": sha256})]
    assert set(registry.waiting()) == {young, inbox.path_of(registry.settings, sha256)}
    assert sweep.requeue in SWEEPERS
