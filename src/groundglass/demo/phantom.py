"""Chest CT series of people who do not exist.

`python -m groundglass.demo.phantom OUT --slices 400 --series 2 --seed 1` writes a folder of them.

The same arguments always give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundglass.demo import anatomy, headers, raster
from groundglass.demo.elements import Part10
from groundglass.demo.headers import Exam
from groundglass.demo.makers import Name


@dataclass(frozen=True, slots=True)
class Truth:
    """What was painted into one slice, in pixels; a lesion is counted where nothing covers it."""

    lung: int
    ground_glass: int
    consolidation: int


def objects(
    seed: int,
    *,
    slices: int = 40,
    rows: int = 512,
    columns: int = 512,
    maker: Name | None = None,
    syntax: str | None = None,
    charset: str = "ISO_IR 100",
    patient: int | None = None,
    study: int | None = None,
) -> Iterator[Part10]:
    """Yield the instances of one series, from the apices down.

    `maker` None takes turns by seed; `syntax` None is the maker's. `patient` and `study` borrow those of other seeds:
    the same person again, or a second series of one study.
    """
    exam = headers.exam(seed, slices=slices, rows=rows, columns=columns, maker=maker, patient=patient, study=study)
    for index in range(slices):
        yield headers.ct(exam, index, pixels(exam, seed, index), syntax=syntax, charset=charset)


def series(
    seed: int,
    slices: int = 40,
    rows: int = 512,
    columns: int = 512,
    maker: Name | None = None,
    syntax: str | None = None,
    *,
    patient: int | None = None,
    study: int | None = None,
) -> Iterator[bytes]:
    """Yield the Part 10 files of one series; see `objects`."""
    parts = objects(
        seed, slices=slices, rows=rows, columns=columns, maker=maker, syntax=syntax, patient=patient, study=study
    )
    return (part.to_bytes() for part in parts)


def pixels(exam: Exam, seed: int, index: int) -> bytes:
    """Return the stored values of one slice, little endian. No two slices of a series are alike."""
    chest = anatomy.chest(seed)
    painter = raster.Painter(exam.grid, chest.scale, raster.inks(exam.maker.pixels))
    shapes = chest.shapes((index + 0.5) / exam.slices)
    padded = exam.maker.pixels.padding is not None
    return painter.paint(shapes, grain=seed * 4099 + index, padded=padded)


def truth(exam: Exam, seed: int, index: int) -> Truth:
    """Return how many pixels of lung, ground glass and consolidation slice `index` shows."""
    mask = labels(exam, seed, index)
    number = {tissue: place for place, tissue in enumerate(anatomy.TISSUES)}
    return Truth(*(mask.count(number[tissue]) for tissue in ("lung", "glass", "dense")))


def labels(exam: Exam, seed: int, index: int) -> bytes:
    """Return one byte a pixel: the place of its tissue in `anatomy.TISSUES`."""
    chest = anatomy.chest(seed)
    painter = raster.Painter(exam.grid, chest.scale, raster.labels(), width=1)
    return painter.paint(chest.shapes((index + 0.5) / exam.slices), grain=0)


def write(folder: Path, *, series_count: int, slices: int, seed: int, rows: int = 512) -> int:
    """Write series of made-up people below `folder` and return the number of files."""
    written = 0
    for number in range(series_count):
        below = folder / f"{number + 1:04}"
        below.mkdir(parents=True, exist_ok=True)
        for index, file in enumerate(series(seed + number, slices, rows, rows)):
            (below / f"{index + 1:04}.dcm").write_bytes(file)
            written += 1
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a folder of phantom series, as the bench and the documentation use it."""
    parser = argparse.ArgumentParser(prog="python -m groundglass.demo.phantom", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--series", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=512, help="rows and columns of a slice")
    given = parser.parse_args(arguments)
    write(given.out, series_count=given.series, slices=given.slices, seed=given.seed, rows=given.rows)


if __name__ == "__main__":
    main()
