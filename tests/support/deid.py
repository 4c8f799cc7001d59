"""Carry out a splice plan in memory, and make the files that de-identification tests start from."""

from __future__ import annotations

import dataclasses
import io

import pydicom

from groundglass.deid import profile, verify
from groundglass.deid.engine import Deidentified, Engine, NeedMore, Rejected, Span
from groundglass.deid.identifiers import Keys
from groundglass.demo import phantom
from groundglass.demo.elements import Element, Part10

MASTER = bytes(range(32))


def engine(name: str = "fidac-anonyme", master: bytes = MASTER, *, collection: str = "fidac") -> Engine:
    return Engine(profile.load(name), Keys.derive(master, collection=collection, centre="LOCAL"))


def judge(made: Engine, data: bytes, head: int = 64 << 10) -> Deidentified | Rejected:
    """Call the engine as a caller must: with more bytes while it asks, never with more than it asked for."""
    for _ in range(20):
        found = made.deidentify(data[:head], len(data))
        if not isinstance(found, NeedMore):
            return found
        assert min(head, len(data)) < found.length <= len(data)
        head = found.length
    raise AssertionError("it never had enough")


def carry_out(plan: Deidentified, data: bytes) -> bytes:
    out = b"".join(data[p.offset : p.offset + p.length] if isinstance(p, Span) else p for p in plan.parts)
    assert len(out) == plan.size
    return out


def clean(data: bytes, made: Engine | None = None) -> bytes:
    """The de-identified bytes; fails when the engine or the verifier holds the object back."""
    plan = judge(made or engine(), data)
    assert isinstance(plan, Deidentified), plan
    out = carry_out(plan, data)
    assert verify.check(out, len(out), seeds=plan.seeds) == ()
    return out


def dataset(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def slice_(seed: int = 1, *, side: int = 16, **more: str) -> Part10:
    return next(phantom.objects(seed, slices=1, rows=side, columns=side, **more))  # type: ignore[arg-type]


def with_elements(file: Part10, *new: tuple[int, str, object]) -> Part10:
    """The file with elements replaced or added; a value None takes one out."""
    elements = {element.tag: element for element in file.elements}
    for tag, vr, value in new:
        elements.pop(tag, None)
        if value is not None:
            elements[tag] = Element(tag, vr, value)  # type: ignore[arg-type]
    return dataclasses.replace(file, elements=tuple(elements[tag] for tag in sorted(elements)))
