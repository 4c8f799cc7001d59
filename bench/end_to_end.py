"""C-STORE to archived and queryable (de-identified, verified, packed, indexed) against Orthanc merely storing.

`python -m bench.end_to_end [--series 16] [--slices 150] [--rounds 2]`: CT slices of 0.5 MB, 4 associations at a time,
one for each series as a PACS opens them; the clock runs from the first byte until QIDO-RS shows the last instance.
Both receivers get the same from the same sender. Also: seconds until `serve` is ready.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import cstore, installation
from groundglass.demo import headers, sender
from groundglass.demo.sender import Outgoing, Peer

POLL_SECONDS = 0.2
GIVE_UP_SECONDS = 300.0


def objects(series: int, slices: int, run: int) -> list[list[Outgoing]]:
    """Return phantom headers around noise, one list a series, other people and UIDs in each run."""
    noise = os.urandom(cstore.PIXEL_BYTES + series * slices)
    made = []
    for n in range(series):
        exam = headers.exam(run * 1000 + n, slices=slices)
        made.append([_one(exam, index, noise[n * slices + index :][: cstore.PIXEL_BYTES]) for index in range(slices)])
    return made


def _one(exam: headers.Exam, index: int, pixels: bytes) -> Outgoing:
    values = bytearray(pixels)
    values[1::2] = bytes(len(values) // 2)  # 8 bits of noise in 16: inside any BitsStored
    return sender.parse(headers.ct(exam, index, bytes(values), syntax=sender.EXPLICIT_LITTLE_ENDIAN).to_bytes())


def measure(receiver: cstore.Receiver, made: list[list[Outgoing]]) -> float:
    """Send every series over an association of its own, 4 at a time, from another process; return instances/s."""
    peer = Peer("127.0.0.1", receiver.port, calling="BENCH", called=receiver.called, pdu_bytes=receiver.pdu_bytes)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        seconds = pool.apply(_send_all, (peer, made))
    return sum(len(series) for series in made) / seconds


def _send_all(peer: Peer, made: list[list[Outgoing]]) -> float:
    begin = time.perf_counter()
    with ThreadPoolExecutor(cstore.ASSOCIATIONS) as threads:
        if any(threads.map(lambda series: sum(sender.send(peer, series)), made)):
            raise SystemExit("an instance was not taken")
    return time.perf_counter() - begin


def ours(made: list[list[Outgoing]], place: installation.Installation, token: str, before: int) -> tuple[float, float]:
    """Return instances/s until all is queryable, and by the sender's clock alone."""
    total = sum(len(series) for series in made)
    receiver = cstore.Receiver(place.dicom_port, place.aet, 1 << 20, place.pid, lambda: 0)
    begin = time.perf_counter()
    sent = measure(receiver, made)
    while time.perf_counter() < begin + GIVE_UP_SECONDS:
        studies = place.get("/dicom-web/studies?limit=1000", token) or []
        if sum(study["00201208"]["Value"][0] for study in studies) == before + total:
            return total / (time.perf_counter() - begin), sent
        time.sleep(POLL_SECONDS)
    raise SystemExit("not archived in time: " + place.command("ledger", "--json"))


def orthanc(made: list[list[Outgoing]]) -> float:
    """Return instances/s of Orthanc storing the same."""
    folder = Path(tempfile.mkdtemp(prefix="gg-bench-", dir=os.environ.get("GROUNDGLASS_BENCH_DIR")))
    try:
        with cstore.orthanc(folder) as receiver:
            return measure(receiver, made)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Print the rates and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=16)
    parser.add_argument("--slices", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    rates: dict[str, list[float]] = {"to queryable": [], "C-STORE in serve": [], "orthanc storing": []}
    with installation.running() as place:
        print(f"serve ready in {place.ready_seconds:.1f} s")
        token = place.command("admin", "token", "--role", "curator")
        for run in range(1, given.rounds + 1):
            made = objects(given.series, given.slices, run)
            total = given.series * given.slices
            both = ours(made, place, token, (run - 1) * total)
            rates["to queryable"].append(both[0])
            rates["C-STORE in serve"].append(both[1])
            if cstore.ORTHANC.exists():
                rates["orthanc storing"].append(orthanc(made))
    if not rates["orthanc storing"]:
        print(f"orthanc: {cstore.ORTHANC} is not installed, left out", file=sys.stderr)
    for name, values in rates.items():
        if values:
            print(f"{name:18s} {statistics.median(values):7.0f} instances/s")
    if rates["orthanc storing"]:
        ratio = statistics.median(rates["to queryable"]) / statistics.median(rates["orthanc storing"])
        print(f"groundglass to queryable is {ratio:.2f}x Orthanc merely storing")


if __name__ == "__main__":
    main()
