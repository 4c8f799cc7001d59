"""A DICOM door on a free loopback port, in a thread of the test or in a process that can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from groundglass.config import Gateway
from groundglass.demo.sender import CT_IMAGE_STORAGE, EXPLICIT_LITTLE_ENDIAN, Outgoing, Peer
from groundglass.gateway.dimse import serve_dimse
from groundglass.gateway.spool import Record, Spool, scan, segment_path, segments
from support.part10 import element

KEY = bytes(range(32))
AET = "GROUNDGLASS"


@dataclass(slots=True)
class Door:
    """A running receiver and what it told."""

    port: int
    folder: Path
    spool: Spool
    thread: threading.Thread
    stop: threading.Event
    records: list[Record] = field(default_factory=list)
    associations: list[tuple[int, bool]] = field(default_factory=list)

    def peer(self, **changes: Any) -> Peer:
        return Peer(**{"host": "127.0.0.1", "port": self.port, "called": AET, "seconds": 20.0, **changes})

    def open_connections(self) -> int:
        return sum(thread.name == "association" for thread in threading.enumerate())


@contextmanager
def open_door(
    folder: Path,
    *,
    centre_of: Callable[[str], str | None] | None = None,
    segment_bytes: int = 1 << 28,
    high_water_pct: float = 100.0,
    **settings: Any,
) -> Iterator[Door]:
    """Run a receiver in this process until the block ends; it must then end by itself."""
    stop = threading.Event()
    spool = Spool(folder, key=KEY, segment_bytes=segment_bytes, high_water_pct=high_water_pct)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        thread = threading.Thread(
            target=lambda: serve_dimse(
                listener,
                settings=Gateway(**settings),
                aet=AET,
                spool=spool,
                on_record=lambda record: door.records.append(record),
                on_association=lambda number, opened: door.associations.append((number, opened)),
                stop=stop,
                centre_of=centre_of,
            )
        )
        door = Door(listener.getsockname()[1], folder, spool, thread, stop)
        thread.start()
        try:
            yield door
        finally:
            stop.set()
            thread.join(15)
            spool.close()
    assert not thread.is_alive(), "the receiver did not stop"


@contextmanager
def door_process(folder: Path, *, failpoint: str = "", report: Path | None = None) -> Iterator[tuple[int, int]]:
    """Run a receiver in a process of its own; give its port and pid. It may be dead when the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "support.door", str(folder), str(listener.fileno())],
            pass_fds=(listener.fileno(),),
            env={
                **os.environ,
                "GROUNDGLASS_FAILPOINT": failpoint,
                "PYTHONPATH": str(Path(__file__).parents[1]),
            },
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield listener.getsockname()[1], process.pid
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()


def data_set(sop: str, *, series: str = "2.25.7", pixels: bytes = bytes(512)) -> bytes:
    """Return a small CT data set, explicit little endian."""
    return b"".join(
        (
            element(0x00080016, "UI", CT_IMAGE_STORAGE),
            element(0x00080018, "UI", sop),
            element(0x00080060, "CS", "CT"),
            element(0x0020000D, "UI", "2.25.6"),
            element(0x0020000E, "UI", series),
            element(0x7FE00010, "OW", pixels),
        )
    )


def outgoing(number: int, **options: Any) -> Outgoing:
    sop = f"2.25.7.{number}"
    return Outgoing(CT_IMAGE_STORAGE, sop, EXPLICIT_LITTLE_ENDIAN, data_set(sop, **options))


def records(folder: Path) -> list[Record]:
    """Return what a restart would find."""
    return [record for segment in segments(folder) for record in scan(folder, segment)]


def content(folder: Path, record: Record) -> bytes:
    """Return the Part 10 object of a record."""
    with segment_path(folder, record.segment).open("rb") as file:
        file.seek(record.offset)
        return file.read(record.length)


def wait_until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Return once the condition holds; fail after that many seconds."""
    until = monotonic() + seconds
    while not condition():
        assert monotonic() < until, "the condition never came true"
        sleep(0.005)


def resident_mb(pid: int | None = None) -> float:
    """Return the resident memory of a process now, in MB."""
    line = next(
        line for line in Path(f"/proc/{pid or os.getpid()}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


def main() -> None:
    """Receive until killed."""
    listener = socket.socket(fileno=int(sys.argv[2]))
    spool = Spool(Path(sys.argv[1]), key=KEY, segment_bytes=1 << 28, high_water_pct=100)
    print("ready", flush=True)
    serve_dimse(
        listener,
        settings=Gateway(idle_seconds=5, associate_seconds=5),
        aet=AET,
        spool=spool,
        on_record=lambda _: None,
        on_association=lambda *_: None,
        stop=threading.Event(),
    )


if __name__ == "__main__":
    main()
