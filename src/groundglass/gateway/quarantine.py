"""What is held back: the original and its reason, in the hospital, one folder an instance."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import psycopg

from groundglass.core.secretfiles import private_folder, sync_folder
from groundglass.deid import reasons
from groundglass.gateway.items import Segments
from groundglass.gateway.judgement import Held

_BLOCK = 1 << 20


def keep(folder: Path, held: Iterable[Held], spool: Segments) -> None:
    """Write each original and its reason.json durably to `folder`/<number>/; doing it twice changes nothing."""
    private_folder(folder)
    written = False
    for one in held:
        target = folder / str(one.item.number)
        if target.exists():
            continue
        half = folder / f".{one.item.number}"
        shutil.rmtree(half, ignore_errors=True)
        try:
            _fill(half, one, spool)
            half.rename(target)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)  # half a copy would keep a full disk full
            raise
        written = True
    if written:
        sync_folder(folder)


def record(connection: psycopg.Connection, intake_id: int, held: Iterable[Held]) -> None:
    """List what is held back; in the transaction that decides the intake."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO quarantine (id, intake_id, sender, centre, code, grade, n_bytes)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
            [
                (one.item.number, intake_id, one.item.sender, one.item.centre, one.code, one.grade, one.item.length)
                for one in held
            ],
        )


def _fill(half: Path, one: Held, spool: Segments) -> None:
    private_folder(half)
    _copy(one, spool, half / "original.dcm")
    _write(half / "reason.json", _reason(one))
    sync_folder(half)


def _reason(one: Held) -> bytes:
    text = {language: reasons.message(one.code, language) for language in ("fr", "en")}
    return json.dumps({"code": one.code, "grade": one.grade, "message": text}, ensure_ascii=False).encode()


def _copy(one: Held, spool: Segments, path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out:  # buffered: unlike a raw file it writes all of a block or fails
        source, at, left = spool.fd(one.item.segment), one.item.offset, one.item.length
        while left:
            block = os.pread(source, min(_BLOCK, left), at)
            if not block:
                raise EOFError("the spool ends before the instance")
            out.write(block)
            at += len(block)
            left -= len(block)
        out.flush()
        os.fsync(out.fileno())


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
