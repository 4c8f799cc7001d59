"""Paint shapes into pixels, quickly and without arrays: one row span at a time, cut from a strip of ready-made noise.

A slice of 512 by 512 takes some milliseconds, because a row span is one slice of bytes copied into another, and no
pixel is ever a Python number.
"""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from groundglass.demo.anatomy import TISSUES, Ellipse, Tissue

_STRIP = 1 << 15
_WIDEST = 2048


@dataclass(frozen=True, slots=True)
class Grid:
    """The image: rows, columns, the size of a pixel in mm (square), centred on the patient."""

    rows: int
    columns: int
    spacing: float

    @property
    def field_mm(self) -> float:
        return self.columns * self.spacing


@dataclass(frozen=True, slots=True)
class Encoding:
    """How HU become stored values: `stored = HU - intercept`, clamped to the type; `padding` is a stored value."""

    intercept: int = -1024
    signed: bool = False
    padding: int | None = None


@lru_cache(maxsize=8)
def inks(encoding: Encoding) -> Mapping[Tissue, bytes]:
    """Return a strip of 16-bit noise for each tissue. The same encoding always gives the same strips."""
    random = Random(20200417)  # noqa: S311  (test data, reproducible by design)
    unit = [random.gauss(0, 1) for _ in range(_STRIP)]
    return {tissue: _strip(unit, mean, deviation, encoding) for tissue, (mean, deviation) in TISSUES.items()}


def _strip(unit: list[float], mean: int, deviation: int, encoding: Encoding) -> bytes:
    low, high = (-32768, 32767) if encoding.signed else (0, 4095)
    middle = mean - encoding.intercept
    if mean < -2000:
        middle, deviation = (encoding.padding if encoding.padding is not None else low), 0
    values = array.array("h", (min(high, max(low, round(middle + deviation * noise))) for noise in unit))
    if sys.byteorder == "big":
        values.byteswap()
    # The start once more at the end: a span may begin anywhere on the strip.
    return values.tobytes() + values[:_WIDEST].tobytes()


def labels(tissues: Iterable[Tissue] = TISSUES) -> Mapping[Tissue, bytes]:
    """Return ink of one byte a pixel that numbers the tissues from 0, to paint the truth instead of an image."""
    return {tissue: bytes([number]) * (_STRIP + _WIDEST) for number, tissue in enumerate(tissues)}


@dataclass(frozen=True, slots=True)
class Painter:
    """Paints one kind of ink (`width` bytes a pixel) on one grid, at one scale of the chest."""

    grid: Grid
    scale: float
    ink: Mapping[Tissue, bytes]
    width: int = 2

    def paint(self, shapes: Iterable[Ellipse], *, grain: int, padded: bool = False) -> bytes:
        """Return the pixels of a slice. `grain` chooses the noise: another grain never gives the same image."""
        grid = self.grid
        image = bytearray()
        for row in range(grid.rows):
            begin = self._grain(row, grain)
            image += self.ink["pad" if padded else "air"][begin : begin + grid.columns * self.width]
        if padded:
            half = grid.field_mm / 2 / self.scale
            self._ellipse(image, Ellipse("air", 0, 0, half, half), grain, [])
        inside: list[dict[int, tuple[int, int]]] = []
        for shape in shapes:
            spans = self._ellipse(image, shape, grain, inside)
            if shape.tissue == "lung":
                inside.append(spans)
        return bytes(image)

    def _grain(self, row: int, grain: int) -> int:
        return (row * 1543 + grain * 7877) % _STRIP * self.width

    def _ellipse(
        self, image: bytearray, shape: Ellipse, grain: int, inside: list[dict[int, tuple[int, int]]]
    ) -> dict[int, tuple[int, int]]:
        """Paint a shape row by row; return the columns that it took in each row."""
        grid, width, ink = self.grid, self.width, self.ink[shape.tissue]
        pixels = self.scale / grid.spacing
        middle_x, middle_y = grid.columns / 2 + shape.x * pixels, grid.rows / 2 + shape.y * pixels
        rx, ry = shape.rx * pixels, shape.ry * pixels
        spans: dict[int, tuple[int, int]] = {}
        if rx <= 0 or ry <= 0:
            return spans
        for row in range(max(0, math.ceil(middle_y - ry)), min(grid.rows, math.floor(middle_y + ry) + 1)):
            half = rx * math.sqrt(max(0.0, 1 - ((row - middle_y) / ry) ** 2))
            first, last = max(0, round(middle_x - half)), min(grid.columns, round(middle_x + half))
            if shape.inside == "inside lung":
                first, last = _clipped(first, last, row, inside)
            if first < last:
                spans[row] = (first, last)
                begin = self._grain(row, grain) + first * width
                at = (row * grid.columns + first) * width
                image[at : at + (last - first) * width] = ink[begin : begin + (last - first) * width]
        return spans


def _clipped(first: int, last: int, row: int, inside: list[dict[int, tuple[int, int]]]) -> tuple[int, int]:
    for spans in inside:
        if row in spans:
            low, high = max(first, spans[row][0]), min(last, spans[row][1])
            if low < high:
                return low, high
    return 0, 0
