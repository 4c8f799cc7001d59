"""C-STORE, 4 associations: groundglass (durable) against Orthanc (tuned) and DCMTK storescp, by one light sender.

`python bench/cstore.py [--instances 720] [--rounds 3]` prints instances/s, the median of the rounds, and
the ratios. All peers store into the same file system and take turns; a missing peer is named and left out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from groundglass.config import Gateway
from groundglass.demo import sender
from groundglass.demo.sender import Outgoing, Peer
from groundglass.gateway.dimse import serve_dimse
from groundglass.gateway.spool import Spool, scan, segments

ORTHANC, STORESCP = Path("/usr/sbin/Orthanc"), Path("/usr/bin/storescp")
ASSOCIATIONS = 4
PIXEL_BYTES = 512 * 512 * 2


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver: where it listens, how large a PDU it likes, and how many instances it holds."""

    port: int
    called: str
    pdu_bytes: int
    pid: int
    stored: Callable[[], int]


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """Return an explicit little endian element."""
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    size = struct.pack("<2xI", len(value)) if vr == b"OW" else struct.pack("<H", len(value))
    return struct.pack("<HH", group, number) + vr + size + value


def objects(count: int, run: int) -> list[Outgoing]:
    """Return CT slices of 0.5 MB and 170 elements in series of 180, other UIDs in each run, noise for pixels."""
    noise = os.urandom(PIXEL_BYTES + count)
    private = b"".join(element(0x0029, 0x1000 + n, b"LO", b"private value %d" % n) for n in range(140))
    made = []
    for n in range(count):
        root = b"2.25.77%d.%d" % (run, n // 180)
        uid = root + b".%d" % n
        head = b"".join(
            (
                element(8, 0x16, b"UI", sender.CT_IMAGE_STORAGE.encode()),
                element(8, 0x18, b"UI", uid),
                element(8, 0x60, b"CS", b"CT"),
                element(0x10, 0x10, b"PN", b"BENCH^NOBODY"),
                element(0x10, 0x20, b"LO", b"BENCH"),
                element(0x20, 0x0D, b"UI", root + b".1"),
                element(0x20, 0x0E, b"UI", root + b".2"),
                element(0x20, 0x13, b"IS", b"%d" % n),
                element(0x28, 0x02, b"US", b"\1\0"),
                element(0x28, 0x04, b"CS", b"MONOCHROME2"),
                element(0x28, 0x10, b"US", b"\0\2"),
                element(0x28, 0x11, b"US", b"\0\2"),
                element(0x28, 0x100, b"US", b"\x10\0"),
                element(0x28, 0x101, b"US", b"\x0c\0"),
                element(0x28, 0x102, b"US", b"\x0b\0"),
                element(0x28, 0x103, b"US", b"\0\0"),
                element(0x29, 0x10, b"LO", b"BENCH"),
                private,
            )
        )
        data = head + element(0x7FE0, 0x10, b"OW", noise[n : n + PIXEL_BYTES])
        made.append(Outgoing(sender.CT_IMAGE_STORAGE, uid.decode(), sender.EXPLICIT_LITTLE_ENDIAN, data))
    return made


def measure(receiver: Receiver, made: list[Outgoing]) -> float:
    """Send everything over 4 associations from a process of its own; return instances/s by the sender's clock."""
    peer = Peer("127.0.0.1", receiver.port, called=receiver.called, pdu_bytes=receiver.pdu_bytes)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_send, args=(peer, made, theirs))
    child.start()
    theirs.close()
    try:
        seconds = float(ours.recv())
    except EOFError:
        raise SystemExit("the sender failed") from None
    finally:
        child.join()
    return len(made) / seconds


def _send(peer: Peer, made: list[Outgoing], answer: Connection) -> None:
    pair = (sender.CT_IMAGE_STORAGE, sender.EXPLICIT_LITTLE_ENDIAN)
    peers = [replace(peer, calling=f"BENCH{n}") for n in range(ASSOCIATIONS)]
    opened = [sender.Association(each, [pair]) for each in peers]
    frames = [[one.frames(outgoing) for outgoing in made[n::ASSOCIATIONS]] for n, one in enumerate(opened)]

    def run(association: sender.Association, messages: list[bytes]) -> None:
        for message in messages:
            if association.send(message) != 0:
                raise SystemExit("an instance was not taken")

    threads = [threading.Thread(target=run, args=pair) for pair in zip(opened, frames, strict=True)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    for association in opened:
        association.release()
    answer.send(seconds)


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Return once something accepts connections."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("a receiver did not start")


@contextmanager
def groundglass(folder: Path) -> Iterator[Receiver]:
    """Our receiver alone in its process, as `serve` runs it."""

    def stored() -> int:
        return sum(1 for n in segments(folder) for _ in scan(folder, n))

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        command = [sys.executable, __file__, "--receive", str(folder), "--fd", str(fd)]
        with running(command, port, pass_fds=(fd,)) as pid:
            yield Receiver(port, "GROUNDGLASS", 1024 * 1024, pid, stored)


def receive(folder: Path, fd: int) -> None:
    """Be our receiver until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    spool = Spool(folder, key=bytes(32), segment_bytes=256 << 20, high_water_pct=99)
    serve_dimse(
        socket.socket(fileno=fd),
        settings=Gateway(),
        aet="GROUNDGLASS",
        spool=spool,
        on_record=lambda _: None,
        on_association=lambda *_: None,
        stop=stop,
    )
    spool.close()


@contextmanager
def orthanc(folder: Path) -> Iterator[Receiver]:
    """Orthanc, tuned for speed: no sync, no MD5, large PDUs, 8 threads."""
    port, web = free_port(), free_port()
    options = {
        "Name": "BENCH",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": web,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "SyncStorageArea": False,
        "StoreMD5ForAttachments": False,
        "MaximumPduLength": 131072,
        "DicomThreadsCount": 8,
        "Plugins": [],
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(options))
    with running([str(ORTHANC), str(path)], port) as pid:

        def stored() -> int:
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/statistics", timeout=10) as answer:
                return int(json.load(answer)["CountInstances"])

        yield Receiver(port, "ORTHANC", 131072, pid, stored)


@contextmanager
def storescp(folder: Path) -> Iterator[Receiver]:
    """DCMTK's storescp, a process per association (alone it serves one at a time); it does not sync."""
    port, out = free_port(), folder / "storescp"
    out.mkdir()
    command = [str(STORESCP), "--fork", "-aet", "STORESCP", "-od", str(out), "--max-pdu", "131072", str(port)]
    with running(command, port) as pid:
        yield Receiver(port, "STORESCP", 131072, pid, lambda: sum(1 for _ in out.iterdir()))


@contextmanager
def running(command: list[str], port: int, pass_fds: tuple[int, ...] = ()) -> Iterator[int]:
    """Run a program until the block ends."""
    environment = {**os.environ, "TCP_NODELAY": "1"}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, pass_fds=pass_fds)
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Return the peak resident memory of a process in MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def one_round(peers: dict[str, Callable[[Path], object]], made: list[Outgoing], rates: dict[str, list[float]]) -> None:
    """Measure every peer once, each in a fresh folder of the same file system."""
    for name, start in peers.items():
        folder = Path(tempfile.mkdtemp(prefix="gg-bench-", dir=os.environ.get("GROUNDGLASS_BENCH_DIR")))
        try:
            with start(folder) as receiver:  # type: ignore[attr-defined]
                sender.echo(Peer("127.0.0.1", receiver.port, called=receiver.called))  # it has started by then
                before = cpu_seconds(receiver.pid)
                rate = measure(receiver, made)
                spent = (cpu_seconds(receiver.pid) - before) / len(made) * 1000
                if (stored := receiver.stored()) != len(made):
                    raise SystemExit(f"{name} holds {stored} of {len(made)}")
                rates[name].append(rate)
                used = f"peak {peak_mb(receiver.pid):4.0f} MB  {spent:.2f} ms of processor each"
                used = "in children" if name == "storescp" else used
                print(f"  {name:12s} {rate:6.0f}/s  {used}", flush=True)
        finally:
            shutil.rmtree(folder)
        os.sync()


def main() -> None:
    """Print each rate and the ratios of ours to the others'."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=720)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", help="groundglass, orthanc or storescp; repeatable")
    parser.add_argument("--receive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.receive:
        receive(given.receive, given.fd)
        return
    known: dict[str, tuple[Path | None, Callable[[Path], object]]] = {
        "groundglass": (None, groundglass),
        "orthanc": (ORTHANC, orthanc),
        "storescp": (STORESCP, storescp),
    }
    peers = {}
    for name, (program, start) in known.items():
        if program is not None and not program.exists():
            print(f"{name}: {program} is not installed, left out", file=sys.stderr)
        elif not given.only or name in given.only:
            peers[name] = start
    rates: dict[str, list[float]] = {name: [] for name in peers}
    print(f"C-STORE, {given.instances} CT slices of 0.5 MB, {ASSOCIATIONS} associations, loopback")
    made = objects(given.instances, 1)
    for _ in range(given.rounds):
        one_round(peers, made, rates)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, rate in middle.items():
        ratio = f"  groundglass is {middle['groundglass'] / rate:.2f}x" if "groundglass" in middle else ""
        print(f"{name:12s} {rate:7.0f} instances/s{ratio}")


if __name__ == "__main__":
    main()
