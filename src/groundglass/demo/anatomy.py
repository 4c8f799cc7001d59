"""A made-up chest in shapes: what lies where between the apices of the lungs and the upper abdomen.

Everything is in millimetres of the patient's axes (x to the left, y to the back), around the middle of the chest;
height goes from 0 (above the apices) to 1 (below the costophrenic angles). Proportions follow an average adult; no
real examination stands behind them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Literal

Tissue = Literal["pad", "air", "fat", "muscle", "bone", "lung", "glass", "dense", "blood", "liver", "table"]
TISSUES: dict[Tissue, tuple[int, int]] = {
    "pad": (-3024, 0),
    "air": (-1000, 12),
    "fat": (-100, 14),
    "muscle": (40, 14),
    "bone": (700, 60),
    "lung": (-850, 30),
    "glass": (-600, 60),
    "dense": (20, 30),
    "blood": (45, 14),
    "liver": (60, 14),
    "table": (-150, 25),
}
"""Tissue -> mean and standard deviation in HU. Where a maker pads outside the field, its own value is written."""

Where = Literal["everywhere", "inside lung"]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An axis-parallel ellipse of one tissue, in mm; `inside` limits it to the lungs."""

    tissue: Tissue
    x: float
    y: float
    rx: float
    ry: float
    inside: Where = "everywhere"


@dataclass(frozen=True, slots=True)
class Lesion:
    """An ellipsoid of ground glass or consolidation; `height` and `reach` are shares of the scanned height."""

    kind: Literal["glass", "dense"]
    x: float
    y: float
    height: float
    radius: float
    reach: float

    def at(self, height: float) -> Ellipse | None:
        """Return the cut of the lesion at a height, None where it does not reach."""
        share = 1 - ((height - self.height) / self.reach) ** 2
        if share <= 0:
            return None
        radius = self.radius * math.sqrt(share)
        return Ellipse(self.kind, self.x, self.y, radius, radius * 0.8, "inside lung")


@dataclass(frozen=True, slots=True)
class Vessel:
    """A tube inside a lung, running outwards and down from the hilum."""

    x: float
    y: float
    towards_x: float
    towards_y: float
    radius: float
    height: float


@dataclass(frozen=True, slots=True)
class Chest:
    """One made-up person's chest. `scale` sizes everything; lesions are the ground truth."""

    scale: float
    lesions: tuple[Lesion, ...]
    vessels: tuple[Vessel, ...]

    def shapes(self, height: float) -> Iterator[Ellipse]:
        """Yield the shapes of one slice in the order of painting: a later one covers an earlier one."""
        yield from _wall(height)
        yield from lungs(height)
        yield from (cut for lesion in self.lesions if (cut := lesion.at(height)))
        yield from _vessels(self.vessels, height)
        yield from _below_diaphragm(height)
        yield from _mediastinum(height)
        yield from _spine()


@lru_cache(maxsize=64)
def chest(seed: int, *, ill: bool = True) -> Chest:
    """Return the chest of a seed: the same seed gives the same chest, with 6 to 14 lesions when `ill`."""
    random = Random(seed)  # noqa: S311  (test data, reproducible by design)
    scale = random.uniform(0.9, 1.08)
    lesions = tuple(_lesion(random) for _ in range(random.randint(6, 14))) if ill else ()
    return Chest(scale, lesions, tuple(_vessel(random) for _ in range(80)))


def _lesion(random: Random) -> Lesion:
    # COVID pneumonia is bilateral, peripheral and posterior more often than not.
    side, angle = random.choice((-1, 1)), random.uniform(-0.2, 1.3)
    return Lesion(
        kind="dense" if random.random() < 0.25 else "glass",
        x=side * (74 + 48 * math.cos(angle)),
        y=70 * math.sin(angle),
        height=random.uniform(0.2, 0.72),
        radius=random.uniform(10, 32),
        reach=random.uniform(0.03, 0.1),
    )


def _vessel(random: Random) -> Vessel:
    side, angle = random.choice((-1, 1)), random.uniform(-1.5, 1.5)
    length = random.uniform(20, 62)
    return Vessel(
        x=side * 38,
        y=random.uniform(-12, 18),
        towards_x=side * length * math.cos(angle),
        towards_y=length * 1.15 * math.sin(angle),
        radius=random.uniform(1.4, 4.2),
        height=random.uniform(0.12, 0.75),
    )


def _wall(height: float) -> Iterator[Ellipse]:
    shoulders = max(0.0, 1 - height / 0.16)
    wide, deep = 168 + 26 * shoulders, 116 - 10 * shoulders
    yield Ellipse("table", 0, 150, 100, 24)
    yield Ellipse("air", 0, 144, 108, 22)
    yield Ellipse("fat", 0, 6, wide, deep)
    yield Ellipse("muscle", 0, 6, wide - 16, deep - 13)
    phase = height * 40
    for number in range(22):
        angle = (number + phase % 1) * 2 * math.pi / 22
        if abs(math.sin(angle)) < 0.96:
            yield Ellipse("bone", 143 * math.cos(angle), 6 + 94 * math.sin(angle), 9, 5)
    yield Ellipse("bone", 0, -90, 15, 5)
    if shoulders:
        yield from (Ellipse("bone", side * 118, 20, 26 * shoulders + 6, 9) for side in (-1, 1))


def lungs(height: float) -> Iterator[Ellipse]:
    """Yield the outline of the right and left lung at a height (nothing above the apices or below the bases)."""
    grown = min(1.0, max(0.0, (height - 0.04) / 0.3))
    left_over = min(1.0, max(0.0, (0.985 - height) / 0.12))
    size = math.sqrt(grown * (2 - grown)) * math.sqrt(left_over)
    if size > 0.02:
        behind = 34 * (1 - left_over)
        yield Ellipse("lung", -76, 8 + behind, 56 * size, 84 * size)
        yield Ellipse("lung", 76, 8 + behind, 53 * size, 82 * size)


def _vessels(vessels: tuple[Vessel, ...], height: float) -> Iterator[Ellipse]:
    for vessel in vessels:
        along = (height - vessel.height) / 0.17
        if 0 <= along <= 1:
            radius = vessel.radius * (1 - 0.7 * along)
            x = vessel.x + vessel.towards_x * along
            y = vessel.y + vessel.towards_y * along
            yield Ellipse("blood", x, y, radius * 1.3, radius, "inside lung")


def _below_diaphragm(height: float) -> Iterator[Ellipse]:
    dome = min(1.0, max(0.0, (height - 0.66) / 0.3))
    if dome > 0:
        rise = math.sqrt(dome)
        yield Ellipse("liver", -66, -12 + 8 * rise, 66 * rise, 78 * rise)
    dome = min(1.0, max(0.0, (height - 0.71) / 0.27))
    if dome > 0:
        rise = math.sqrt(dome)
        yield Ellipse("muscle", 70, -8 + 8 * rise, 60 * rise, 74 * rise)
        yield Ellipse("air", 58, -40, 22 * rise, 16 * rise)


def _mediastinum(height: float) -> Iterator[Ellipse]:
    yield Ellipse("muscle", 0, -8, 30, 62)
    heart = 1 - ((height - 0.6) / 0.2) ** 2
    if heart > 0:
        yield Ellipse("blood", 22, -34, 62 * math.sqrt(heart), 44 * math.sqrt(heart))
    yield Ellipse("blood", 16, 36, 12, 12)
    if height < 0.42:
        yield Ellipse("air", 0, 12, 9, 9)
    elif height < 0.52:
        apart = 8 + 240 * (height - 0.42)
        yield from (Ellipse("air", side * apart, 14, 7, 6) for side in (-1, 1))


def _spine() -> Iterator[Ellipse]:
    yield Ellipse("bone", 0, 66, 19, 15)
    yield Ellipse("muscle", 0, 88, 9, 8)
    yield Ellipse("bone", 0, 103, 4, 9)
