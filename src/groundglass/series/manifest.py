"""The manifest beside a series package: only what follows from its bytes, so a repeat writes the same file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from groundglass.series.frames import Range

FORMAT = "groundglass.series/1"


@dataclass(frozen=True, slots=True)
class Instance:
    """One object of a package. `offset`, `frames` count bytes from the package's start; `header` from the object's.

    `frames` are ranges (offset, length) in frame order; `fragments` says how many make each frame, () when each is one.
    """

    sop_instance_uid: str
    name: str
    offset: int
    length: int
    header: int
    sha256: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    rows: int | None
    columns: int | None
    position: tuple[float, float, float] | None
    frames: tuple[Range, ...]
    fragments: tuple[int, ...] = ()

    @property
    def number_of_frames(self) -> int:
        """How many frames can be served by range."""
        return len(self.fragments) or len(self.frames)

    def frame_ranges(self, number: int) -> tuple[Range, ...]:
        """Return the ranges that make frame `number`, from 1. Raises IndexError."""
        if not 1 <= number <= self.number_of_frames:
            raise IndexError(number)
        if not self.fragments:
            return (self.frames[number - 1],)
        first = sum(self.fragments[: number - 1])
        return self.frames[first : first + self.fragments[number - 1]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a series: the SHA-256 and size of its package, and its objects in the order of their UIDs."""

    sha256: str
    size: int
    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[Instance, ...]

    def to_json(self) -> bytes:
        """Return the canonical bytes: sorted keys, no spaces, ASCII."""
        # field by field: dataclasses.asdict copies deeply, 70 microseconds an instance
        values = {name: getattr(self, name) for name in self.__slots__}
        values |= {"format": FORMAT, "instances": [{n: getattr(i, n) for n in i.__slots__} for i in self.instances]}
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read back what `to_json` wrote. Raises ValueError for another format."""
        values = json.loads(data)
        if values.pop("format", None) != FORMAT:
            raise ValueError("not a manifest of this format")
        return cls(**{**values, "instances": tuple(_instance(each) for each in values["instances"])})


def _instance(values: dict[str, Any]) -> Instance:
    position = values["position"]
    return Instance(
        **{
            **values,
            "position": None if position is None else tuple(position),
            "frames": tuple((offset, length) for offset, length in values["frames"]),
            "fragments": tuple(values["fragments"]),
        }
    )
