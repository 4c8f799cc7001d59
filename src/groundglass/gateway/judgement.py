"""What becomes of each instance of an intake: clean, held back with a reason, or a duplicate. It writes nothing."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from groundglass.core import logs
from groundglass.deid import verify
from groundglass.deid.engine import Deidentified, Engine, NeedMore, Rejected, Span
from groundglass.gateway.items import Item, Segments

_log = logs.logger("gateway.judgement")
_HEAD = 64 << 10  # nearly every header ends before
_LARGEST_READ = 256 << 20  # what must be read whole (encapsulated pixels) and is larger is held back
_BLOCK = 1 << 20

Grade = Literal["review", "refuse"]


@dataclass(frozen=True, slots=True)
class Clean:
    """An instance that may leave: how to write it, and where its pixels are."""

    item: Item
    outcome: Deidentified


@dataclass(frozen=True, slots=True)
class Held:
    """An instance that stays, and why."""

    item: Item
    code: str
    grade: Grade


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every instance of an intake in exactly one of three lists."""

    clean: tuple[Clean, ...]
    held: tuple[Held, ...]
    duplicates: tuple[Item, ...]


def judge(items: Iterable[Item], spool: Segments, engine: Engine, known: dict[bytes, bytes]) -> Judgement:
    """De-identify and verify each instance, then settle repeats.

    `known` maps the hash of a (new) SOP Instance UID to the hash of the de-identified bytes already sent. Same bytes
    again are a duplicate; other bytes under one UID are held back, the first too unless it was sent before.
    """
    held: list[Held] = []
    by_uid: defaultdict[str, list[Clean]] = defaultdict(list)
    for item in items:
        verdict = _one(item, spool, engine)
        if isinstance(verdict, Held):
            held.append(verdict)
        else:
            by_uid[verdict.outcome.sop_instance_uid].append(verdict)
    clean: list[Clean] = []
    duplicates: list[Item] = []
    for uid, same in by_uid.items():
        before = known.get(hashlib.sha256(uid.encode()).digest())
        if before is None and len(same) == 1:
            clean.append(same[0])
            continue
        hashes = [_digest(spool, one) for one in same]
        if len({*hashes, *([before] if before else [])}) > 1:
            held.extend(
                Held(one.item, "uid_conflict", "refuse") for one, h in zip(same, hashes, strict=True) if h != before
            )
            duplicates.extend(one.item for one, h in zip(same, hashes, strict=True) if h == before)
        else:
            clean.extend(same[:1] if before is None else [])
            duplicates.extend(one.item for one in (same[1:] if before is None else same))
    return _one_study(clean, held, duplicates)


def _one_study(clean: list[Clean], held: list[Held], duplicates: list[Item]) -> Judgement:
    """Hold the whole series back when its instances name several studies or several persons."""
    subjects = {
        (one.outcome.patient_id, one.outcome.study_instance_uid, one.outcome.series_instance_uid) for one in clean
    }
    if len(subjects) > 1:
        held = [*held, *(Held(one.item, "wrong_subject", "review") for one in clean)]
        clean = []
    return Judgement(tuple(clean), tuple(held), tuple(duplicates))


def _one(item: Item, spool: Segments, engine: Engine) -> Clean | Held:
    try:
        outcome = _deidentify(item, spool, engine)
        if isinstance(outcome, Rejected):
            return Held(item, outcome.code, outcome.grade)
        if code := _verify(item, spool, outcome):
            return Held(item, code, "refuse")
    except OSError:  # the disk or a limit of ours, no fault of the input: the whole job is tried again
        raise
    except Exception:  # noqa: BLE001 -- whatever an input does to us, it is held back and nothing else suffers
        _log.event("instance-failed")
        return Held(item, "unreadable", "refuse")
    return Clean(item, outcome)


def _deidentify(item: Item, spool: Segments, engine: Engine) -> Deidentified | Rejected:
    wanted = _HEAD
    while True:
        outcome = engine.deidentify(spool.read(item, wanted), item.length)
        if not isinstance(outcome, NeedMore):
            return outcome
        if outcome.length <= wanted or outcome.length > _LARGEST_READ:
            return Rejected("too_large", "refuse")
        wanted = outcome.length


def _verify(item: Item, spool: Segments, outcome: Deidentified) -> str | None:
    """Return the code of the first fault that the independent verifier finds in what would leave."""
    wanted = _HEAD
    while True:
        found = verify.check(_output_head(item, spool, outcome, wanted), outcome.size, seeds=outcome.seeds)
        if not isinstance(found, verify.NeedMore):
            return found[0].code if found else None
        if found.length <= wanted or found.length > _LARGEST_READ:
            return "too_large"
        wanted = found.length


def _output_head(item: Item, spool: Segments, outcome: Deidentified, length: int) -> bytes:
    head = bytearray()
    for part in outcome.parts:
        missing = length - len(head)
        if missing <= 0:
            break
        if isinstance(part, Span):
            head += b"".join(_blocks(item, spool, Span(part.offset, min(part.length, missing))))
        else:
            head += part[:missing]
    return bytes(head)


def _digest(spool: Segments, one: Clean) -> bytes:
    digest = hashlib.sha256()
    for part in one.outcome.parts:
        if isinstance(part, Span):
            for block in _blocks(one.item, spool, part):
                digest.update(block)
        else:
            digest.update(part)
    return digest.digest()


def _blocks(item: Item, spool: Segments, span: Span) -> Iterator[bytes]:
    fd, at, end = spool.fd(item.segment), item.offset + span.offset, item.offset + span.offset + span.length
    while at < end:
        block = os.pread(fd, min(_BLOCK, end - at), at)
        if not block:
            raise EOFError("the spool ends before the instance")
        yield block
        at += len(block)
