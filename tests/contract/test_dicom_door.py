"""The DICOM door as senders see it (DESIGN.md 4, PS3.7, PS3.8): what is taken, what is refused, in which words."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from groundglass.demo import sender
from groundglass.demo.sender import EXPLICIT_LITTLE_ENDIAN, VERIFICATION, Outgoing, SendError
from groundglass.gateway.dimse import server, storing
from groundglass.gateway.spool import segments
from support import raw_dicom
from support.door import content, data_set, open_door, outgoing, records, wait_until
from support.raw_dicom import ABORT, RELEASED, Raw, associated

REJECTED_CALLED, REJECTED_CALLING, REJECTED_LIMIT = b"\0\1\1\7", b"\0\1\1\3", b"\0\2\3\2"


def reason(caught: pytest.ExceptionInfo[SendError]) -> bytes:
    return caught.value.pdu[6:10]


def test_echo(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        assert sender.echo(door.peer()) == 0


def test_what_was_answered_with_success_is_on_disk_as_it_was_sent(tmp_path: Path) -> None:
    objects = [outgoing(n, pixels=bytes([n]) * 3000) for n in range(40)]
    with open_door(tmp_path) as door:
        assert sender.send(door.peer(calling="CT_1", pdu_bytes=4096), objects, associations=4) == [0] * 40
        told = set(door.records)
    kept = records(tmp_path)
    assert set(kept) == told
    assert {r.sender for r in kept} == {"CT_1"}
    assert sorted(content(tmp_path, r)[128:132] for r in kept) == [b"DICM"] * 40
    found = [content(tmp_path, r) for r in kept]
    assert all(sum(file.endswith(one.data_set) for file in found) == 1 for one in objects)


def test_the_file_header_is_our_own(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        sender.send(door.peer(calling="SECRET_NAME"), [outgoing(1)])
    (record,) = records(tmp_path)
    path = tmp_path / "one.dcm"
    path.write_bytes(content(tmp_path, record))
    assert sender.read_file(path) == outgoing(1)
    head = path.read_bytes()[: -len(outgoing(1).data_set)]
    assert head[:128] == bytes(128)
    assert b"SECRET_NAME" not in head


def test_instances_of_a_series_share_a_token_whatever_the_association(tmp_path: Path) -> None:
    objects = [outgoing(n, series=f"2.25.8.{n % 3}") for n in range(12)]
    with open_door(tmp_path) as door:
        sender.send(door.peer(), objects, associations=4)
    kept = records(tmp_path)
    assert len({r.series_token for r in kept}) == 3
    assert len({r.sop_token for r in kept}) == 12


def test_data_sets_without_a_readable_series_are_grouped_by_association(tmp_path: Path) -> None:
    objects = [Outgoing(sender.CT_IMAGE_STORAGE, f"2.25.9.{n}", EXPLICIT_LITTLE_ENDIAN, b"junk") for n in range(6)]
    with open_door(tmp_path) as door:
        assert sender.send(door.peer(), objects, associations=2) == [0] * 6
    assert len({(r.series_token, r.association) for r in records(tmp_path)}) == 2


def test_associations_are_told_to_begin_and_to_end(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        sender.send(door.peer(), [outgoing(1)])
        wait_until(lambda: len(door.associations) == 2)
        (number, opened), (again, ended) = door.associations
        assert (number, opened, ended) == (again, True, False)
        assert door.records[0].association == number


def test_an_empty_data_set_is_taken_for_the_quarantine(tmp_path: Path) -> None:
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(raw_dicom.store(Outgoing(sender.CT_IMAGE_STORAGE, "2.25.1", EXPLICIT_LITTLE_ENDIAN, b"")))
        assert raw.status() == 0
    assert len(records(tmp_path)) == 1


@pytest.mark.parametrize("pdu_bytes", [16, 1000, 65536, 1024 * 1024])
def test_an_object_larger_than_the_buffer_keeps_its_bytes(tmp_path: Path, pdu_bytes: int) -> None:
    size = 40_000 if pdu_bytes == 16 else 9_000_001
    large = outgoing(1, pixels=os.urandom(size))
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(raw_dicom.store(large, pdu_bytes=pdu_bytes))
        assert raw.status() == 0
        raw.send(raw_dicom.store(outgoing(2)))
        assert raw.status() == 0
    first, second = records(tmp_path)
    assert content(tmp_path, first).endswith(large.data_set)
    assert content(tmp_path, second).endswith(outgoing(2).data_set)
    assert first.series_token == second.series_token


def test_command_and_data_set_may_share_a_pdu(tmp_path: Path) -> None:
    one = outgoing(1)
    frames = raw_dicom.store(one)
    split = 6 + raw_dicom.HEADER.unpack_from(frames)[1]
    command, data = frames[:split], frames[split:]
    joined = raw_dicom.HEADER.pack(4, len(command) + len(data) - 12) + command[6:] + data[6:]
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(joined)
        assert raw.status() == 0
    assert content(tmp_path, records(tmp_path)[0]).endswith(one.data_set)


HOSTILE_UIDS = [
    b"../../x", b"/etc/passwd", b"..\\..\\x", b"1.2.3/../4", b"1.2\0.3", b"CON", b"1.2;rm -rf", b"$(id)", b"",
    b"9" * 65,
    b"%2e%2e%2f", b"\xff\xfe", b"1.2.3\n", "１.２".encode(), b"a" * 4000,
]  # fmt: skip


@pytest.mark.parametrize("uid", HOSTILE_UIDS)
def test_a_uid_that_is_none_is_a_failure_and_nothing_is_kept(tmp_path: Path, uid: bytes) -> None:
    with open_door(tmp_path / "spool") as door, associated(door.port) as raw:
        raw.send(raw_dicom.store(outgoing(1), uid=uid))
        assert raw.status() == 0x0117
        raw.send(raw_dicom.store(outgoing(2)))
        assert raw.status() == 0
    assert len(records(tmp_path / "spool")) == 1
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"ordinals", "000000000001.seg"}


def test_a_class_that_is_not_the_contexts_is_a_failure(tmp_path: Path) -> None:
    other = Outgoing("1.2.840.10008.5.1.4.1.1.4", "2.25.1", EXPLICIT_LITTLE_ENDIAN, data_set("2.25.1"))
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(raw_dicom.store(other))
        assert raw.status() == 0x0122
    assert records(tmp_path) == []


def test_an_unknown_operation_is_answered(tmp_path: Path) -> None:
    find = sender.echo_command(9).replace(b"\0\0\0\1\2\0\0\0\x30\0", b"\0\0\0\1\2\0\0\0\x20\0")
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(sender.p_data(3, find, command=True, pdu_bytes=1000))
        assert raw.status() == 0x0211


def test_an_object_over_the_limit_is_a_failure_and_leaves_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_OBJECT_BYTES", 5_000_000)
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(raw_dicom.store(outgoing(1, pixels=bytes(7_000_000))))
        assert raw.status() == 0xC000
        raw.send(raw_dicom.store(outgoing(2, pixels=bytes(5_000_000 - 2000))))
        assert raw.status() == 0
    assert len(records(tmp_path)) == 1
    assert not list(tmp_path.glob("*.part"))


def test_one_who_never_ends_is_aborted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "MAX_OBJECT_BYTES", 3_000_000)
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(raw_dicom.store(outgoing(1, pixels=bytes(20_000_000))))
        assert raw.kinds_until_closed() in ([ABORT], [])
    assert records(tmp_path) == []


def test_without_room_the_answer_is_out_of_resources_and_later_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_door(tmp_path, high_water_pct=90.0) as door, associated(door.port) as raw:
        with monkeypatch.context() as patch:
            patch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_blocks=100, f_bfree=5, f_bavail=5))
            for size in (100, 7_000_000):
                raw.send(raw_dicom.store(outgoing(1, pixels=bytes(size))))
                assert raw.status() == 0xA700
        raw.send(raw_dicom.store(outgoing(1)))
        assert raw.status() == 0
    assert len(records(tmp_path)) == 1
    assert not list(tmp_path.glob("*.part"))


def test_another_called_title_is_refused(tmp_path: Path) -> None:
    with open_door(tmp_path) as door, pytest.raises(SendError) as caught:
        sender.echo(door.peer(called="OTHER"))
    assert reason(caught) == REJECTED_CALLED


def test_once_any_are_listed_other_calling_titles_are_refused(tmp_path: Path) -> None:
    with open_door(tmp_path, allowed_aets=["CT_1", "CT_2=CENTRE_A"]) as door:
        assert sender.echo(door.peer(calling="CT_1")) == 0
        assert sender.echo(door.peer(calling="CT_2")) == 0
        for calling in ("CT_3", "CT_2=CENTRE_A", "ct_1", ""):
            with pytest.raises(SendError) as caught:
                sender.echo(door.peer(calling=calling))
            assert reason(caught) == REJECTED_CALLING


def test_a_title_that_belongs_to_no_centre_is_refused(tmp_path: Path) -> None:
    with open_door(tmp_path, centre_of=lambda aet: "A" if aet == "CT_1" else None) as door:
        assert sender.echo(door.peer(calling="CT_1")) == 0
        with pytest.raises(SendError) as caught:
            sender.echo(door.peer(calling="CT_2"))
    assert reason(caught) == REJECTED_CALLING


@pytest.mark.parametrize("title", ["../../x", "/etc/passwd", "..", ".", "A\\B", "é", "A\x01", "A\nB", "$(id)", "<b>"])
def test_a_hostile_calling_title_is_refused(tmp_path: Path, title: str) -> None:
    with open_door(tmp_path / "spool") as door, pytest.raises(SendError) as caught:
        sender.echo(door.peer(calling=title))
    assert reason(caught) == REJECTED_CALLING
    assert [path.name for path in tmp_path.iterdir()] == ["spool"]


def test_associations_of_one_address_and_of_all_are_limited(tmp_path: Path) -> None:
    with open_door(tmp_path, max_associations=3, max_associations_per_peer=2) as door:
        held = [sender.Association(door.peer(), [(VERIFICATION, EXPLICIT_LITTLE_ENDIAN)]) for _ in range(2)]
        with pytest.raises(SendError) as caught:
            sender.echo(door.peer())
        assert reason(caught) == REJECTED_LIMIT
        held.pop().release()
        wait_until(lambda: (door.associations and door.associations[-1][1]) is False)
        wait_until(lambda: _accepted(door.port))
        held.pop().release()


def _accepted(port: int) -> bool:
    raw = Raw(port)
    with raw.socket:
        raw.send(raw_dicom.request())
        found = raw.pdu()
        return found is not None and found[0] == raw_dicom.ACCEPT


def test_release_is_answered_and_the_connection_closed(tmp_path: Path) -> None:
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(raw_dicom.HEADER.pack(5, 4) + bytes(4))
        assert raw.pdu() == (RELEASED, bytes(4))
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.kinds_until_closed() == []


def test_an_instance_under_way_is_finished_when_the_receiver_stops(tmp_path: Path) -> None:
    frames = raw_dicom.store(outgoing(1, pixels=bytes(300_000)), pdu_bytes=4096)
    with open_door(tmp_path) as door, associated(door.port) as raw, associated(door.port) as idle:
        raw.send(frames[: len(frames) // 2])
        wait_until(lambda: len(door.associations) == 2)
        door.stop.set()
        assert idle.kinds_until_closed() == [ABORT]
        raw.send(frames[len(frames) // 2 :])
        assert raw.status() == 0
        assert raw.kinds_until_closed() == [ABORT]
    assert len(records(tmp_path)) == 1


def test_an_instance_that_does_not_end_is_cut_off_when_the_receiver_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_GRACE_SECONDS", 0.5)
    frames = raw_dicom.store(outgoing(1, pixels=bytes(9_000_000)))
    with open_door(tmp_path) as door, associated(door.port) as raw:
        raw.send(frames[:-100])
        door.stop.set()
        assert raw.kinds_until_closed() in ([], [ABORT])
    assert records(tmp_path) == []
    assert not list(tmp_path.glob("*.part"))


def test_when_nobody_comes_the_last_segment_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_QUIET_SECONDS", 0.1)
    with open_door(tmp_path) as door:
        sender.send(door.peer(), [outgoing(1)])
        wait_until(lambda: len(segments(tmp_path)) == 2)
    assert records(tmp_path)[0].segment == segments(tmp_path)[0]
