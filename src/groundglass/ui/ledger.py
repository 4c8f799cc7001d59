"""The account of a gateway as a page shows it, from the JSON of the contract (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

_PARTS: Final = ("archived", "quarantined", "duplicates", "pending", "withdrawn")


class Part(NamedTuple):
    """One part of what was received, and where it starts on a bar of all of it."""

    name: str
    start: int
    n: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Instances; `reasons` are codes of what is quarantined, the most frequent first."""

    received: int
    archived: int
    quarantined: int
    duplicates: int
    pending: int
    withdrawn: int
    reasons: tuple[tuple[str, int], ...]

    @property
    def gap(self) -> int:
        """What was received and is nowhere (negative: counted twice). 0 when the account is right."""
        return self.received - sum(part.n for part in self.parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The five parts one after the other."""
        parts, start = [], 0
        for name in _PARTS:
            n = getattr(self, name)
            parts.append(Part(name, start, n))
            start += n
        return tuple(parts)


@dataclass(frozen=True, slots=True)
class Sender:
    """One AE title or account."""

    name: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class View:
    """All senders of one gateway, by name."""

    total: Counts
    senders: tuple[Sender, ...]


def view(ledger: Mapping[str, Any]) -> View:
    """Read a ledger. What a gateway sent is not trusted: what is no count is 0, what is no name is left out."""
    senders = _mapping(ledger.get("senders"))
    return View(
        counts(ledger.get("total")),
        tuple(Sender(str(name)[:64], counts(value)) for name, value in sorted(senders.items())),
    )


def counts(value: object) -> Counts:
    """Read the counts of one sender or of all."""
    given = _mapping(value)
    reasons = {str(code)[:64]: _count(n) for code, n in _mapping(given.get("reasons")).items()}
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return Counts(
        received=_count(given.get("received")),
        archived=_count(given.get("archived")),
        quarantined=_count(given.get("quarantined")),
        duplicates=_count(given.get("duplicates")),
        pending=_count(given.get("pending")),
        withdrawn=_count(given.get("withdrawn")),
        reasons=tuple(ordered),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
