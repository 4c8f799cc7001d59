"""A chest CT goes in by DICOM and comes out anonymised, archived, accounted for and queryable.

One installation for the whole chapter; every paragraph sends as its own sender and reads that sender's account.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from groundglass.demo import identities, phantom, planting, sender, variants
from groundglass.demo.makers import MAKERS
from support.archive import Archive, Series
from support.identities import residues
from support.sending import outgoing, peer, send, storescu
from support.shared import data
from support.stack import Stack

SMALL = {"slices": 6, "rows": 64, "columns": 64}
COUNTS = ("archived", "quarantined", "duplicates", "pending", "withdrawn")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("spine")) as running:
        yield running


@pytest.fixture(scope="module")
def archive(stack: Stack) -> Iterator[Archive]:
    with stack.client("curator") as client:
        yield Archive(client)


def arrived(archive: Archive, before: set[Series]) -> list[Series]:
    """Return the series that are new since `before`, or have another number of instances."""
    return sorted(archive.series() - before, key=lambda one: (one.patient_id, one.uid))


def account(**counts: object) -> dict[str, object]:
    return {"received": 0, **dict.fromkeys(COUNTS, 0), "reasons": {}} | counts


@pytest.mark.parametrize("maker", list(MAKERS))
def test_a_series_of_any_maker_goes_in_and_its_pixels_come_out(stack: Stack, archive: Archive, maker: str) -> None:
    before, files = archive.series(), list(phantom.objects(100, **SMALL, maker=maker))
    assert send(stack, files, calling=f"CT_{maker}".upper()) == [0] * 6
    assert stack.wait_quiet(6, sender=f"CT_{maker}".upper()) == account(received=6, archived=6)
    (series,) = arrived(archive, before)
    assert series.instances == 6
    assert archive.pixels(series) == [file.pixels for file in files]


def test_every_frame_can_be_had_alone(stack: Stack, archive: Archive) -> None:
    before, files = archive.series(), list(phantom.objects(110, **SMALL))
    send(stack, files, calling="FRAMES")
    stack.wait_quiet(6, sender="FRAMES")
    (series,) = arrived(archive, before)
    frames = {archive.frame(series, data_set.SOPInstanceUID) for data_set in archive.data_sets(series)}
    assert frames == {file.pixels for file in files}


def test_the_headers_are_those_of_the_files(stack: Stack, archive: Archive) -> None:
    before = archive.series()
    send(stack, phantom.objects(111, **SMALL), calling="METADATA")
    stack.wait_quiet(6, sender="METADATA")
    (series,) = arrived(archive, before)
    by_uid = {data_set.SOPInstanceUID: data_set for data_set in archive.data_sets(series)}
    described = archive.metadata(series)
    assert len(described) == 6
    for one in described:
        data_set = by_uid[one["00080018"]["Value"][0]]
        assert one["00200032"]["Value"] == [float(number) for number in data_set.ImagePositionPatient]
        assert one["00281052"]["Value"] == [float(data_set.RescaleIntercept)]


def test_dcmtk_sends_and_is_answered(stack: Stack, archive: Archive, tmp_path: Path) -> None:
    before, files = archive.series(), list(phantom.objects(120, **SMALL, maker="siemens"))
    paths = [tmp_path / f"{index}.dcm" for index in range(6)]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file.to_bytes())
    assert storescu(stack, paths, calling="DCMTK_A") == 0
    assert stack.wait_quiet(6, sender="DCMTK_A")["archived"] == 6
    (series,) = arrived(archive, before)
    assert archive.pixels(series) == [file.pixels for file in files]


@pytest.mark.parametrize(
    ("folder", "slices"), [("siemens_A0002_B40f_30", 30), ("philips_A0001_kernelB_64", 64)], ids=["siemens", "philips"]
)
def test_a_real_chest_ct_comes_out_with_its_pixels(stack: Stack, archive: Archive, folder: str, slices: int) -> None:
    paths = sorted(data("ct", "lung_pet_ct_dx", folder).glob("*.dcm"))
    before, calling = archive.series(), f"REAL_{folder[:7]}".upper()
    statuses = sender.send(peer(stack, calling=calling), [sender.read_file(path) for path in paths], associations=2)
    assert statuses == [0] * slices
    assert stack.wait_quiet(slices, sender=calling)["archived"] == slices
    (series,) = arrived(archive, before)
    originals = sorted((pydicom.dcmread(path) for path in paths), key=lambda one: int(one.InstanceNumber))
    assert archive.pixels(series) == [one.PixelData for one in originals]
    uids = {str(one[keyword].value) for one in originals for keyword in ("StudyInstanceUID", "SOPInstanceUID")}
    for content in archive.files(series):
        assert not [uid for uid in (*uids, str(originals[0].PatientID)) if uid.encode() in content]


def test_late_instances_make_a_second_version_that_has_all_of_them(stack: Stack, archive: Archive) -> None:
    before, files = archive.series(), list(phantom.objects(130, slices=9, rows=64, columns=64))
    send(stack, files[:6], calling="LATE")
    stack.wait_quiet(6, sender="LATE")
    (first,) = arrived(archive, before)
    first_package = archive.package(first)
    send(stack, files[6:], calling="LATE")
    assert stack.wait_quiet(9, sender="LATE") == account(received=9, archived=9)
    (second,) = arrived(archive, before)
    assert (second.uid, second.instances) == (first.uid, 9)
    assert archive.pixels(second) == [file.pixels for file in files]
    second_package = archive.package(second)
    assert second_package.headers["etag"] != first_package.headers["etag"]
    assert len(second_package.content) > len(first_package.content)


def test_a_package_does_not_depend_on_the_order_of_arrival(stack: Stack, archive: Archive) -> None:
    files = list(phantom.objects(131, slices=8, rows=64, columns=64))
    etags = []
    for calling, order in (("ORDER", files[::-1]), ("ORDER_2", [*files[1::2], *files[0::2]])):
        before = archive.series()
        send(stack, order, calling=calling, associations=3)
        stack.wait_quiet(8, sender=calling)
        etags += [archive.package(series).headers["etag"] for series in arrived(archive, before)]
    # Another sender is another centre, with keys of its own: same images, nothing in common.
    assert len(set(etags)) == 2


def test_the_same_patient_again_has_the_same_identifiers(stack: Stack, archive: Archive) -> None:
    before = archive.series()
    send(stack, phantom.objects(141, **SMALL, patient=140), calling="SAME")
    stack.wait_quiet(6, sender="SAME")
    send(stack, phantom.objects(140, **SMALL, patient=140), calling="SAME")
    send(stack, phantom.objects(142, **SMALL, patient=140, study=141), calling="SAME")
    send(stack, phantom.objects(143, **SMALL), calling="SAME")
    stack.wait_quiet(24, sender="SAME")
    new = arrived(archive, before)
    patients = {one.patient_id: [] for one in new}
    for one in new:
        patients[one.patient_id].append(one.study_uid)
    assert sorted((len(studies), len(set(studies))) for studies in patients.values()) == [(1, 1), (3, 2)]


def test_a_repeat_is_a_duplicate_and_changes_nothing(stack: Stack, archive: Archive) -> None:
    before, files = archive.series(), list(phantom.objects(150, **SMALL))
    send(stack, files, calling="REPEAT")
    stack.wait_quiet(6, sender="REPEAT")
    (series,) = arrived(archive, before)
    etag = archive.package(series).headers["etag"]
    send(stack, files[:4], calling="REPEAT")
    assert stack.wait_quiet(10, sender="REPEAT") == account(received=10, archived=6, duplicates=4)
    send(stack, [*files, *files], calling="REPEAT")
    assert stack.wait_quiet(22, sender="REPEAT") == account(received=22, archived=6, duplicates=16)
    assert archive.package(series).headers["etag"] == etag


def test_other_pixels_under_an_archived_uid_are_quarantined(stack: Stack, archive: Archive) -> None:
    before, files = archive.series(), list(phantom.objects(160, **SMALL))
    send(stack, files, calling="CONFLICT")
    stack.wait_quiet(6, sender="CONFLICT")
    assert send(stack, [variants.other_pixels(files[2])], calling="CONFLICT") == [0]
    counted = stack.wait_quiet(7, sender="CONFLICT")
    assert (counted["archived"], counted["quarantined"]) == (6, 1)
    (series,) = arrived(archive, before)
    assert archive.pixels(series) == [file.pixels for file in files]


def test_two_claims_to_one_uid_that_arrive_together_are_both_quarantined(stack: Stack) -> None:
    files = list(phantom.objects(161, **SMALL))
    send(stack, [*files, variants.other_pixels(files[2])], calling="BOTH")
    counted = stack.wait_quiet(7, sender="BOTH")
    assert (counted["archived"], counted["quarantined"]) == (5, 2)
    assert sum(counted["reasons"].values()) == 2


def test_what_is_in_doubt_is_quarantined_with_a_reason_and_the_rest_passes(stack: Stack, archive: Archive) -> None:
    before, files = archive.series(), list(phantom.objects(170, **SMALL, maker="siemens"))
    doubtful = [
        variants.localizer(files[0]),
        variants.secondary_capture(files[0]),
        variants.dose_screen(files[0]),
        variants.burned_in(files[0]),
        variants.written_as(variants.with_uid(files[0], "2.25.170001"), variants.EXPLICIT_BIG),
        dataclasses.replace(variants.with_uid(files[0], "2.25.170002"), pixels=files[0].pixels[:-100]),
    ]
    assert send(stack, [*files, *doubtful], calling="DOUBT") == [0] * 12
    counted = stack.wait_quiet(12, sender="DOUBT")
    assert (counted["archived"], counted["quarantined"]) == (6, 6)
    assert sum(counted["reasons"].values()) == 6
    assert all(code == code.lower() for code in counted["reasons"])
    assert [one.instances for one in arrived(archive, before)] == [6]


def test_a_uid_that_is_a_path_is_refused_and_nothing_else_suffers(stack: Stack) -> None:
    (file,) = phantom.objects(180, slices=1, rows=64, columns=64)
    hostile = [dataclasses.replace(outgoing(file), sop_instance_uid=uid) for uid in ("../../etc/passwd", "1.2/3", "")]
    for one in hostile:
        try:
            (status,) = sender.send(peer(stack, calling="HOSTILE"), [one])
        except (sender.SendError, OSError):
            continue
        assert status == 0x0117 or status >= 0xA000  # invalid object instance, or a refusal
    assert send(stack, [file], calling="HOSTILE") == [0]
    assert stack.wait_quiet(1, sender="HOSTILE") == account(received=1, archived=1)


def test_no_identity_is_found_anywhere_beyond_the_gateway(stack: Stack, archive: Archive) -> None:
    someone, before = identities.person(190), archive.series()
    places = planting.PLACES_IN_DATA_SET
    files = list(phantom.objects(190, slices=len(places), rows=32, columns=32))
    for charset in ("ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87"):
        planted = [
            planting.plant(
                dataclasses.replace(
                    variants.with_uid(file, f"2.25.19{len(charset)}{index}"),
                    writing=dataclasses.replace(file.writing, charset=charset),
                ),
                someone,
                places=[place],
            )
            for index, (file, place) in enumerate(zip(files, places, strict=True))
        ]
        assert send(stack, planted, calling="IDENTITY") == [0] * len(places)
    counted = stack.wait_quiet(3 * len(places), sender="IDENTITY")
    assert counted["archived"] > 1.5 * len(places), f"too few passed for the search to mean much: {counted}"
    secrets = planting.secrets(someone)
    served = b"".join(
        content + archive.client.get(f"{series.path}/metadata").content
        for series in arrived(archive, before)
        for content in archive.files(series)
    )
    assert residues(served, secrets) == []
    everywhere = [stack.data / "registry", stack.data / "postgres", stack.data / "gateway" / "outbox", stack.logs]
    assert residues([place for place in everywhere if place.exists()], secrets) == []


def test_no_original_uid_is_found_anywhere_beyond_the_gateway(stack: Stack) -> None:
    files = list(phantom.objects(195, **SMALL))
    send(stack, files, calling="UIDS")
    stack.wait_quiet(6, sender="UIDS")
    uids = {file[tag] for file in files for tag in (0x00080018, 0x0020000D, 0x0020000E, 0x00200052)}
    assert len(uids) == 9
    assert residues([stack.data / "registry", stack.data / "postgres", stack.logs], uids) == []


def test_the_account_balances_for_every_sender_and_in_total(stack: Stack) -> None:
    send(stack, phantom.objects(200, **SMALL), calling="BALANCE")
    stack.wait_quiet(6, sender="BALANCE")
    ledger = stack.wait_quiet()
    for counted in (ledger["total"], *ledger["senders"].values()):
        assert counted["received"] == sum(counted[name] for name in COUNTS)
        assert counted["quarantined"] == sum(counted["reasons"].values())
    for name in ("received", *COUNTS):
        assert ledger["total"][name] == sum(counted[name] for counted in ledger["senders"].values())


def test_doors_are_closed_to_those_without_a_token(stack: Stack) -> None:
    with stack.client(None) as nobody:
        assert nobody.get("/dicom-web/studies").status_code == 401
        assert nobody.get("/api/v1/series/2.25.1/package").status_code == 401
    with stack.client("committee") as committee:
        assert committee.get("/dicom-web/studies").status_code == 403
    with stack.client("researcher") as researcher:
        assert researcher.get("/dicom-web/studies").status_code in (200, 204)
        assert Archive(researcher).series() == set()


def test_a_contributor_sees_the_own_centre_alone(stack: Stack, archive: Archive) -> None:
    before = archive.series()
    for seed, centre in ((210, "CENTRE_A"), (211, "CENTRE_B")):
        send(stack, phantom.objects(seed, **SMALL), calling=centre)
        stack.wait_quiet(6, sender=centre)
    one, other = arrived(archive, before)
    with stack.client("contributor", centre="CENTRE_A") as client:
        mine = Archive(client)
        (seen,) = mine.series()
        assert seen in (one, other)
        hidden = other if seen == one else one
        assert client.get(f"{hidden.path}/metadata").status_code == 403
        assert len(mine.files(seen)) == 6


def test_everything_is_still_there_after_a_restart_and_the_audit_log_is_whole(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        send(stack, phantom.objects(220, **SMALL), calling="RESTART")
        counted = stack.wait_quiet(6)
        with stack.client("curator") as client:
            (series,) = Archive(client).series()
            etag = Archive(client).package(series).headers["etag"]
        assert stack.stop() == 0
        assert stack.ledger() == counted
        assert stack.run("audit", "verify").returncode == 0
        stack.start()
        with stack.client("curator") as client:
            assert Archive(client).package(series).headers["etag"] == etag
        send(stack, phantom.objects(220, **SMALL), calling="RESTART")
        assert stack.wait_quiet(12)["total"]["duplicates"] == 6
