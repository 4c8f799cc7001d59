"""De-identifying 512 x 512 CT files, verifier included, beside copying the same files, one process each.

    python -m bench.deidentify [--slices 400] [--source FOLDER]

Peers in the same run: `shutil.copyfile` of every file (the ratio that counts), and a bare pydicom read, map, write.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom

from groundglass.client import deidentify
from groundglass.client.sources import Source
from groundglass.deid import identifiers, profile, verify
from groundglass.deid.engine import Deidentified, Engine
from groundglass.demo import phantom

_KEY = bytes(range(32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--source", type=Path, help="real CT files instead of made ones")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gg-deid-") as folder:
        files = _files(Path(folder) / "in", wanted.slices, wanted.source)
        contenders: dict[str, Callable[[list[Path], Path], None]] = {
            "copy": copy, "groundglass": ours, "pydicom read, map, write": by_pydicom,
        }  # fmt: skip
        best = dict.fromkeys(contenders, 0.0)
        for _ in range(wanted.rounds):  # interleaved: a busy machine slows all of them
            for name, run in contenders.items():
                best[name] = max(best[name], _rate(run, files, Path(folder) / "out"))
        for name, rate in best.items():
            print(f"{name:28} {rate:8.0f} files/s   {rate / best['copy']:5.2f} of copying")
        _header_work(files)


def _files(folder: Path, slices: int, source: Path | None) -> list[Path]:
    """Files of distinct instances in the page cache: a made series, or real ones repeated under other UIDs."""
    folder.mkdir()
    if source is None:
        made = phantom.series(1, slices=slices, maker="ge")
    else:
        made = _repeated(sorted(source.rglob("*.dcm")), slices)
    files = []
    for number, data in enumerate(made):
        files.append(folder / f"{number:05d}.dcm")
        files[-1].write_bytes(data)
    return files


def _repeated(found: list[Path], slices: int) -> Iterator[bytes]:
    for number in range(slices):
        data = found[number % len(found)].read_bytes()
        head, uid = data[:4096], pydicom.dcmread(found[number % len(found)], stop_before_pixels=True).SOPInstanceUID
        other = f"{uid[:-5]}{10000 + number}".encode()
        yield head.replace(uid.encode(), other) + data[4096:]


def _rate(run: Callable[[list[Path], Path], None], files: list[Path], out: Path) -> float:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    begin = time.process_time()  # of this process, kernel included: other work on the machine does not count
    run(files, out)
    return len(files) / (time.process_time() - begin)


def copy(files: list[Path], out: Path) -> None:
    for number, path in enumerate(files):
        shutil.copyfile(path, out / f"{number}.dcm")


def ours(files: list[Path], out: Path) -> None:
    """The command's own worker: read, judge, verify, write under another name, rename."""
    run = deidentify._Run(str(out), None)
    worker = deidentify._Worker(deidentify._Job(profile.load("fidac-anonyme"), _KEY, "bench", "LOCAL", str(out)))
    for number, path in enumerate(files):
        source = Source(str(path), -1, False)
        run.settle(number, source, worker.judge(number, source))
    assert run.report(profile.load("fidac-anonyme")).counts.written == len(files)


def by_pydicom(files: list[Path], out: Path) -> None:
    """Read, replace five values, write: the least that any de-identifier on pydicom does."""
    for number, path in enumerate(files):
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.PatientID = "X", "X"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.1", "2.25.2"
        dataset.remove_private_tags()
        dataset.save_as(out / f"{number}.dcm")


def _header_work(files: list[Path]) -> None:
    keys = identifiers.Keys.derive(_KEY, collection="bench", centre="LOCAL")
    engine = Engine(profile.load("fidac-anonyme"), keys)
    heads = [(path.read_bytes()[: 64 << 10], os.path.getsize(path)) for path in files]
    for attempt in ("first pass", "warm"):
        begin, judging = time.perf_counter(), 0.0
        for head, size in heads:
            found = engine.deidentify(head, size)
            assert isinstance(found, Deidentified)
            assert isinstance(found.parts[0], bytes)
            middle = time.perf_counter()
            assert verify.check(found.parts[0], found.size, seeds=found.seeds) == ()
            judging += time.perf_counter() - middle
        total = (time.perf_counter() - begin) / len(heads) * 1e6
        print(f"header, {attempt:10}: {total:6.0f} µs, of which verifier {judging / len(heads) * 1e6:4.0f} µs")


if __name__ == "__main__":
    main()
