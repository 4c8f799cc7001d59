"""What is thrown at an open port (security.md A3, A4): the receiver answers or closes, and goes on."""

from __future__ import annotations

import contextlib
import random
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from groundglass.demo import sender
from support import raw_dicom
from support.door import Door, door_process, open_door, outgoing, records, resident_mb, wait_until
from support.raw_dicom import ABORT, HEADER, Raw, associated

UNRECOGNISED, UNEXPECTED, INVALID = 1, 2, 6
ABORT_PDU = HEADER.pack(ABORT, 4) + bytes(4)
ONE = outgoing(1, pixels=bytes(2000))


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with open_door(tmp_path) as opened:
        yield opened
        assert sender.send(opened.peer(), [outgoing(99)]) == [0], "a good sender after a bad one"


NOT_DICOM = {
    "HTTP": (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", UNRECOGNISED),
    "TLS": (bytes.fromhex("16030102000100") + bytes(512), UNRECOGNISED),
    "an association of 3 GB": (HEADER.pack(1, 3_000_000_000), INVALID),
    "an association over 256 KiB": (HEADER.pack(1, 256 * 1024 + 1), INVALID),
    "an association of nothing": (HEADER.pack(1, 0), INVALID),
    "65,622 bytes of items": (HEADER.pack(1, 65_616) + b"\0\1" + bytes(65_614), INVALID),
    "data first": (raw_dicom.store(ONE), UNEXPECTED),
    "a release first": (HEADER.pack(5, 4) + bytes(4), UNEXPECTED),
    "an unknown PDU": (HEADER.pack(9, 4) + bytes(4), UNRECOGNISED),
    "zeros": (bytes(1000), UNRECOGNISED),
}


@pytest.mark.parametrize("name", NOT_DICOM)
def test_what_is_no_proposal_is_aborted_with_the_reason(door: Door, name: str) -> None:
    sent, reason = NOT_DICOM[name]
    raw = Raw(door.port)
    with raw.socket:
        raw.send(sent)
        assert raw.pdu() == (ABORT, bytes([0, 0, 2, reason]))


def pdv(context: int, control: int, data: bytes, *, length: int | None = None) -> bytes:
    return struct.pack(">IBB", len(data) + 2 if length is None else length, context, control) + data


def p_data(*values: bytes) -> bytes:
    return HEADER.pack(4, sum(map(len, values))) + b"".join(values)


ECHO = sender.echo_command(1)
STORE = sender.store_command(1, sender.CT_IMAGE_STORAGE.encode(), b"2.25.1")
BROKEN = {
    "a second proposal": (raw_dicom.request(), UNEXPECTED),
    "an unknown PDU": (HEADER.pack(0, 4) + bytes(4), UNRECOGNISED),
    "an acceptance": (HEADER.pack(2, 4) + bytes(4), UNEXPECTED),
    "data of 3 GB": (HEADER.pack(4, 3_000_000_000), INVALID),
    "data over the announced maximum": (HEADER.pack(4, 1024 * 1024 + 1), INVALID),
    "a value longer than its PDU": (p_data(pdv(3, 3, ECHO, length=len(ECHO) + 3)), INVALID),
    "a value of 4 GB": (p_data(pdv(3, 3, ECHO, length=0xFFFFFFFF)), INVALID),
    "a value of length 1": (p_data(pdv(3, 3, b"", length=1)), INVALID),
    "five bytes of a value": (p_data(b"\0\0\0\2\3"), INVALID),
    "an unknown context": (p_data(pdv(77, 3, ECHO)), INVALID),
    "a data set without a command": (p_data(pdv(1, 2, b"abc")), INVALID),
    "a command that is none": (p_data(pdv(3, 3, b"\xff" * 40)), INVALID),
    "a command where data is due": (p_data(pdv(1, 3, STORE), pdv(1, 3, STORE)), INVALID),
    "data in another context": (p_data(pdv(1, 3, STORE), pdv(3, 2, b"abc")), INVALID),
    "a command in two contexts": (p_data(pdv(1, 1, STORE[:20]), pdv(3, 3, STORE[20:])), INVALID),
    "a command of 20 KiB": (p_data(pdv(1, 1, bytes(20_000)), pdv(1, 3, STORE)), INVALID),
    "a release amid a message": (p_data(pdv(1, 3, STORE)) + HEADER.pack(5, 4) + bytes(4), UNEXPECTED),
    "a proposal amid a message": (p_data(pdv(1, 3, STORE)) + raw_dicom.request(), UNEXPECTED),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_message_is_aborted_with_the_reason(door: Door, name: str) -> None:
    sent, reason = BROKEN[name]
    with associated(door.port) as raw:
        raw.send(sent)
        assert raw.pdu() == (ABORT, bytes([0, 0, 2, reason]))


def test_an_endless_command_is_aborted(door: Door) -> None:
    with associated(door.port) as raw:
        for _ in range(400):
            raw.send(p_data(pdv(3, 1, b"")) * 100)
        raw.send(p_data(pdv(3, 1, bytes(16 * 1024 + 1))))
        assert raw.kinds_until_closed() == [ABORT]


def test_an_abort_or_a_vanished_peer_leaves_nothing(door: Door) -> None:
    frames = raw_dicom.store(outgoing(1, pixels=bytes(5_000_000)))
    for last in (ABORT_PDU, b""):
        for cut in (10, 200, 100_000, len(frames) - 70_000):
            end = next(at for at in _boundaries(frames) if at >= cut)
            with associated(door.port) as raw:
                raw.send(frames[:end] if last else frames[: end - 3], last)
    wait_until(lambda: [opened for _, opened in door.associations].count(False) == 8)
    assert door.records == []
    assert not list(door.folder.glob("*.part"))


def _boundaries(frames: bytes) -> list[int]:
    found, at = [], 0
    while at < len(frames):
        at += HEADER.size + HEADER.unpack_from(frames, at)[1]
        found.append(at)
    return found


@pytest.mark.parametrize("stage", ["nothing", "part of a proposal", "idle", "part of a message", "a byte now and then"])
def test_silence_and_dripping_are_ended(tmp_path: Path, stage: str) -> None:
    with open_door(tmp_path, associate_seconds=1, idle_seconds=1) as door:
        raw = Raw(door.port)
        with raw.socket:
            if stage == "part of a proposal":
                raw.send(raw_dicom.request()[:50])
            elif stage != "nothing":
                raw.send(raw_dicom.request())
                assert raw.pdu() is not None
            if stage == "part of a message":
                raw.send(raw_dicom.store(ONE)[:-5])
            if stage == "a byte now and then":
                _drip(raw, raw_dicom.store(ONE))
            assert raw.kinds_until_closed() in ([ABORT], [])
        wait_until(lambda: not door.open_connections(), seconds=5)


def _drip(raw: Raw, frames: bytes) -> None:
    """Send a byte each 20 ms until the receiver has had enough."""
    raw.socket.settimeout(0.02)
    for n in range(len(frames)):
        raw.send(frames[n : n + 1])
        with contextlib.suppress(TimeoutError):
            if raw.socket.recv(1) in (b"", bytes([ABORT])):
                break
    else:
        pytest.fail("the receiver took a message at 50 bytes a second")
    raw.socket.settimeout(20)
    raw.kinds_until_closed()


def test_a_thousand_connections_do_not_shut_out_a_listed_peer(tmp_path: Path) -> None:
    with open_door(tmp_path, allowed_aets=["CT_1"]) as door, contextlib.ExitStack() as stack:
        for n in range(1000):
            raw = Raw(door.port)
            stack.enter_context(raw.socket)
            if n % 3:
                raw.send(raw_dicom.request(calling="NOBODY")[: n % 200])
        start = monotonic()
        assert sender.send(door.peer(calling="CT_1"), [outgoing(n) for n in range(5)]) == [0] * 5
        assert monotonic() - start < 5
        assert threading.active_count() < 300
    assert len(records(tmp_path)) == 5


def mutated(generator: random.Random) -> list[bytes]:
    """Return a sequence of PDUs that was good before: bytes changed, cut, doubled, swapped, lengths made wrong."""
    pdus = [raw_dicom.request(), raw_dicom.store(ONE, pdu_bytes=generator.choice([64, 900, 65536])), ABORT_PDU]
    if generator.random() < 0.3:
        pdus.insert(1, sender.p_data(3, ECHO, command=True, pdu_bytes=generator.choice([16, 4096])))
    target = generator.choice([0, 1, 1, 1, len(pdus) - 1])
    victim = bytearray(pdus[target])
    for _ in range(generator.choice([1, 1, 2, 8])):
        at = generator.randrange(len(victim))
        match generator.randrange(5):
            case 0:
                victim[at] = generator.randrange(256)
            case 1:
                del victim[at : at + generator.choice([1, 4, 100])]
            case 2:
                victim[at:at] = generator.randbytes(generator.choice([1, 4, 100]))
            case 3:
                victim[at : at + 4] = struct.pack(">I", generator.choice([0, 1, 2, 0x7FFFFFFF, 0xFFFFFFFF]))
            case 4:
                victim[at : at + 2] = struct.pack("<H", generator.choice([0, 0xFFFF, 0x0101]))
        if not victim:
            break
    pdus[target] = bytes(victim)
    if generator.random() < 0.2:
        pdus.insert(generator.randrange(len(pdus)), generator.choice(pdus))
    return pdus


def throw(port: int, sequences: list[list[bytes]]) -> None:
    for sequence in sequences:
        with contextlib.suppress(OSError):
            raw = Raw(port)
            with raw.socket:
                raw.send(*sequence)


def _survives(folder: Path, count: int, seed: int) -> None:
    generator = random.Random(seed)
    sequences = [mutated(generator) for _ in range(count)]
    with door_process(folder) as (port, pid):
        threads = [threading.Thread(target=throw, args=(port, sequences[n::4])) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        peer = sender.Peer("127.0.0.1", port)
        wait_until(lambda: _stores(peer), seconds=60)
        assert resident_mb(pid) < 300
    assert all(record.length > 132 for record in records(folder))


def _stores(peer: sender.Peer) -> bool:
    try:
        return sender.send(peer, [outgoing(99)]) == [0]
    except sender.SendError:  # the limit by address, while the last of the flood are closed
        return False


def test_mutated_sequences(tmp_path: Path) -> None:
    _survives(tmp_path, 4000, seed=3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_mutated_sequences(tmp_path: Path) -> None:
    _survives(tmp_path, 100_000, seed=5)


def test_memory_is_bounded_with_sixteen_large_instances_at_once(tmp_path: Path) -> None:
    large = outgoing(1, pixels=bytes(24_000_000))
    peak = [0.0]
    with door_process(tmp_path) as (port, pid):
        peers = [sender.Peer("127.0.0.1", port, pdu_bytes=1 << 20) for _ in range(16)]
        statuses: list[int] = []
        threads = [threading.Thread(target=lambda p=p: statuses.extend(sender.send(p, [large]))) for p in peers]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            peak[0] = max(peak[0], resident_mb(pid))
            threads[-1].join(0.02)
        for thread in threads:
            thread.join()
    assert statuses == [0] * 16
    assert peak[0] < 300
    assert len(records(tmp_path)) == 16
