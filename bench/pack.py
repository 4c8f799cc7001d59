"""Packing a CT series, beside Python's zipfile on the same objects in the same run.

    python bench/pack.py [--slices 600]

Prints instances per second of one core's time and the largest resident memory of: pack with its manifest, zipfile with
the same hashes, strict reading, headers.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from groundglass.series import headers, package
from groundglass.series.manifest import Manifest
from groundglass.series.package import FileSpan, Member

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support import part10  # type: ignore[import-not-found]

SIDE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gg-pack-") as folder:
        spans = make(Path(folder), wanted.slices)
        contenders = {
            "pack": ours,
            "zipfile, then sha256": by_zipfile,
            "read_manifest": strictly,
            "headers_gz": json_headers,
        }
        for name, run in contenders.items():
            rates, memory = zip(*(measure(run, Path(folder), spans) for _ in range(wanted.rounds)), strict=True)
            print(f"{name:24} {max(rates):8.0f} instances/s   {max(memory):6.0f} MB resident")
        ours(Path(folder), spans)
        by_zipfile(Path(folder), spans)
        assert (Path(folder) / "ours.zip").read_bytes() == (Path(folder) / "theirs.zip").read_bytes()


def make(folder: Path, slices: int) -> list[tuple[str, int, int]]:
    """Write the slices one after the other, as a spool segment holds them."""
    noise, found = os.urandom(SIDE * SIDE * 2), []
    with (folder / "segment").open("wb") as out:
        for number in range(1, slices + 1):
            size = struct.pack("<H", SIDE)
            larger = {0x00280010: ("US", size), 0x00280011: ("US", size), 0x7FE00010: ("OW", noise)}
            data = part10.ct(number, more=larger)
            found.append((f"{part10.SERIES}.{number}", out.tell(), len(data)))
            out.write(data)
    return found


def measure(run: Callable[..., str], folder: Path, spans: list[tuple[str, int, int]]) -> tuple[float, float]:
    """Return instances per second of processor time and MB resident, in a process of its own."""
    if run in (ours, by_zipfile):
        (folder / ("ours.zip" if run is ours else "theirs.zip")).unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        seconds, peak = pool.apply(timed, (run, folder, spans))
    return len(spans) / seconds, peak


def timed(run: Callable[..., str], folder: Path, spans: list[tuple[str, int, int]]) -> tuple[float, float]:
    begin = time.process_time()
    run(folder, spans)
    return time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(folder: Path, spans: list[tuple[str, int, int]]) -> str:
    fd = os.open(folder / "segment", os.O_RDONLY)
    members = [Member(sop, (FileSpan(fd, offset, length),)) for sop, offset, length in spans]
    with (folder / "ours.zip").open("wb", buffering=0) as out:
        manifest = package.pack(members, out)
    (folder / "ours.json").write_bytes(manifest.to_json())
    return manifest.sha256


def by_zipfile(folder: Path, spans: list[tuple[str, int, int]]) -> str:
    """The same file by the standard library, and the same hashes: of each object and of the package, read again."""
    with (folder / "segment").open("rb") as segment, zipfile.ZipFile(folder / "theirs.zip", "w") as archive:
        for rank, (_, offset, length) in enumerate(sorted(spans), 1):
            info = zipfile.ZipInfo(f"{rank:05d}.dcm")
            info.external_attr = 0o100644 << 16
            segment.seek(offset)
            data = segment.read(length)
            hashlib.sha256(data).hexdigest()
            archive.writestr(info, data)
    with (folder / "theirs.zip").open("rb") as done:
        return hashlib.file_digest(done, "sha256").hexdigest()


def strictly(folder: Path, _: list[tuple[str, int, int]]) -> str:
    with (folder / "ours.zip").open("rb") as stored:
        return package.read_manifest(stored.fileno()).sha256


def json_headers(folder: Path, _: list[tuple[str, int, int]]) -> str:
    with (folder / "ours.zip").open("rb") as stored:
        manifest = Manifest.from_json((folder / "ours.json").read_bytes())
        return str(len(headers.headers_gz(stored.fileno(), manifest)))


if __name__ == "__main__":
    main()
