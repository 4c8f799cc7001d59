"""SIGKILL of the receiver: what it acknowledged is in the spool, whole and once (promise 1)."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path

import pytest

from groundglass.demo import sender
from groundglass.demo.sender import Outgoing
from support.door import content, door_process, outgoing, records, wait_until

PAIR = (sender.CT_IMAGE_STORAGE, sender.EXPLICIT_LITTLE_ENDIAN)


class Storm:
    """Four associations that store different objects, one of twenty of them large, until the receiver is gone."""

    def __init__(self, port: int) -> None:
        self.acknowledged: list[Outgoing] = []
        self._peer = sender.Peer("127.0.0.1", port, seconds=20)
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(4)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _send(self, first: int) -> None:
        try:
            with sender.Association(self._peer, [PAIR]) as association:
                for n in range(first, 100_000, 4):
                    one = outgoing(n, pixels=os.urandom(3_000_000 if n % 20 == 19 else 20_000))
                    if association.store(one) == 0:
                        self.acknowledged.append(one)
        except (sender.SendError, OSError):
            return


def check(folder: Path, acknowledged: list[Outgoing]) -> int:
    """Everything acknowledged is found, every found object is whole; return how many are found."""
    found = [content(folder, record) for record in records(folder)]
    data_sets = {file[144 + int.from_bytes(file[140:144], "little") :] for file in found}
    assert len(data_sets) == len(found), "an object was found twice"
    assert {one.data_set for one in acknowledged} <= data_sets
    return len(found)


@pytest.mark.parametrize("name", ["spool-written:25", "segment-synced:25", "before-ack:25"])
def test_killed_at_a_fail_point(tmp_path: Path, name: str) -> None:
    with door_process(tmp_path, failpoint=name) as (port, _):
        storm = Storm(port)
        storm.join()
    found = check(tmp_path, storm.acknowledged)
    assert 0 <= found - len(storm.acknowledged) <= 4, "at most the instances under way go without an answer"
    assert storm.acknowledged


def test_killed_at_random_and_restarted(tmp_path: Path) -> None:
    acknowledged: list[Outgoing] = []
    generator = random.Random(11)
    for _ in range(4):
        with door_process(tmp_path) as (port, pid):
            storm = Storm(port)
            wanted = generator.randrange(5, 60)
            wait_until(lambda storm=storm, wanted=wanted: len(storm.acknowledged) >= wanted, seconds=60)
            os.kill(pid, signal.SIGKILL)
            storm.join()
        acknowledged += storm.acknowledged
    assert check(tmp_path, acknowledged) >= len(acknowledged)
