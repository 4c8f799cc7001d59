"""No line of the log can carry a patient value, whoever writes it."""

from __future__ import annotations

import ast
import enum
import io
import json
import logging
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import groundglass
from groundglass.core import logs

SECRETS = ("MOREAU-TESTEUR^Zénobie", "1990077", "2.25.1234567890", "199039975599999")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """A configured process whose hooks and handlers are put back afterwards."""
    out = io.StringIO()
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    root = logging.root
    before = root.handlers[:], root.level, logging.raiseExceptions, logging.getLogger("groundglass").level
    logs.configure("test", stream=out)
    yield out
    root.handlers[:], level, logging.raiseExceptions, ours = before
    root.setLevel(level)
    logging.getLogger("groundglass").setLevel(ours)


def read(lines: io.StringIO) -> list[dict[str, object]]:
    text = lines.getvalue()
    assert text.isascii()
    assert not any(secret in text or json.dumps(secret)[1:-1] in text for secret in SECRETS)
    return [json.loads(line) for line in text.splitlines()]


class Grade(enum.StrEnum):
    REVIEW = "review"
    ODD = "Not A Slug"


def test_an_event_is_one_line_of_json_with_its_numbers_and_declared_words(lines: io.StringIO) -> None:
    logs.allow("archived")
    logs.logger("gateway.spool").event(
        "segment-opened",
        segment=3,
        ratio=0.5,
        full=False,
        kind="archived",
        grade=Grade.REVIEW,
        key=logs.Opaque("a" * 64),
    )
    (line,) = read(lines)
    assert line.pop("at")
    assert line == {
        "level": "info",
        "role": "test",
        "logger": "gateway.spool",
        "event": "segment-opened",
        "segment": 3,
        "ratio": 0.5,
        "full": False,
        "kind": "archived",
        "grade": "review",
        "key": "a" * 64,
    }


def injections() -> list[object]:
    breaks = ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1b[2J", "\x00"]
    forged = [f'{SECRETS[0]}{b}{{"level":"info","event":"forged"}}' for b in breaks]
    plain = [*SECRETS, "moreau", "f", "035y", "%s", "%(name)s", "{0}", "${jndi:ldap}", "\ud800", "x" * 100_000, ""]
    odd = [10**12, 199039975599999, float("nan"), float("inf"), 1e15, b"bytes", ["list"], {"d": 1}, object(), None]
    return [
        *forged,
        *plain,
        *odd,
        Grade.ODD,
        *[f"{secret}\r\n" for secret in SECRETS],
        *[{s: s} for s in SECRETS],
        (1,),
        {2},
    ]


def test_fifty_injections_leave_nothing_but_a_count(lines: io.StringIO) -> None:
    attacks = injections()
    assert len(attacks) >= 44
    log = logs.logger("attacked")
    for attack in attacks:
        log.event("attacked", value=attack)  # type: ignore[arg-type]
    for key in [*SECRETS, "a\nb"]:
        log.event("attacked", **{key: 1})
        log.event(key)
    told = read(lines)
    assert len(told) == len(attacks) + 2 * (len(SECRETS) + 1)
    assert {line["event"] for line in told} == {"attacked", "unnamed"}
    assert all("value" not in line and line["dropped"] == 1 for line in told[: len(attacks)])


@pytest.mark.parametrize("value", ["1990077", "abc", "A" * 8, "0" * 65, "g" * 8, "12345678\n", SECRETS[0]])
def test_an_opaque_id_is_hexadecimal_or_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ValueError, match=r"^not an opaque id$"):
        logs.Opaque(value)


@pytest.mark.parametrize(
    "name",
    [
        "pydicom",
        "pynetdicom.acse",
        "uvicorn.error",
        "uvicorn.access",
        "procrastinate.worker",
        "psycopg.pool",
        SECRETS[0],
    ],
)
def test_other_libraries_keep_level_and_module_only(
    lines: io.StringIO, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger(name)
    for silenced in (log, log.parent):  # the DICOM door, where it was imported, lets these two say nothing at all
        monkeypatch.setattr(silenced, "disabled", False)
        monkeypatch.setattr(silenced, "propagate", True)
        monkeypatch.setattr(silenced, "level", logging.WARNING if silenced is logging.root else logging.NOTSET)
    log.warning(
        "received %s for %(x)s", SECRETS[0], extra={"job": SECRETS[1], "groundglass_event": {"event": SECRETS[2]}}
    )
    log.error(SECRETS[1])
    log.critical("broken format %d %d", SECRETS[0])
    log.info(SECRETS[2])
    assert [line["level"] for line in read(lines)] == ["warning", "error", "critical"]
    assert {line["logger"] for line in read(lines)} <= {*sys.modules, "other"}


def test_handlers_that_others_installed_are_taken_off(lines: io.StringIO) -> None:
    theirs = io.StringIO()
    log = logging.getLogger("noisy")
    log.addHandler(logging.StreamHandler(theirs))
    log.propagate = False
    logs.configure("test", stream=lines)
    log.error(SECRETS[0])
    assert not theirs.getvalue()
    assert len(read(lines)) == 1


def fail_within_ours() -> None:
    logs.Opaque(SECRETS[0])


def test_an_exception_tells_classes_and_our_lines(lines: io.StringIO) -> None:
    class Dossier(Exception):
        pass

    try:
        try:
            fail_within_ours()
        except ValueError as error:
            raise Dossier(SECRETS[0]) from error
    except Dossier as error:
        logs.logger("x").failure("failed", error.__cause__ or error)
        logs.logger("x").failure("failed", error)
    first, second = read(lines)
    assert first["error"] == "ValueError"
    assert re.fullmatch(r"core/logs\.py:\d+", first["frames"][-1])  # type: ignore[index]
    assert second["error"] == "Dossier"
    assert second["causes"] == ["ValueError"]


def test_a_database_error_tells_its_state_and_constraint(lines: io.StringIO, gateway_db: psycopg.Connection) -> None:
    gateway_db.execute("CREATE TEMP TABLE person (name text CONSTRAINT person_once UNIQUE)")
    gateway_db.execute("INSERT INTO person VALUES (%s)", [SECRETS[0]])
    with pytest.raises(psycopg.Error, match=r"DETAIL.*MOREAU") as caught:
        gateway_db.execute("INSERT INTO person VALUES (%s)", [SECRETS[0]])
    logs.logger("x").failure("failed", caught.value)
    logging.getLogger("psycopg").error("failed: %s", caught.value, exc_info=caught.value)
    assert len(read(lines)) == 2
    for line in read(lines):
        assert (line["error"], line["sqlstate"], line["constraint"]) == ("UniqueViolation", "23505", "person_once")


def test_warnings_tell_their_category(lines: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = sys.modules["groundglass.core.logs"]._warned
        warnings.warn(SECRETS[0], UserWarning, stacklevel=1)
    (line,) = read(lines)
    assert (line["event"], line["category"]) == ("warning", "UserWarning")


PROGRAM = """
import asyncio, sys, threading
from groundglass.core import logs
logs.configure("child")
SECRET = sys.argv[1]
def thread(): raise RuntimeError(SECRET)
started = threading.Thread(target=thread); started.start(); started.join()
class Unraisable:
    def __del__(self): raise KeyError(SECRET)
Unraisable()
async def lost(): raise OSError(SECRET)
async def main():
    task = asyncio.create_task(lost()); await asyncio.sleep(0); await asyncio.sleep(0); del task
    asyncio.get_running_loop().call_soon(lambda: 1 / 0); await asyncio.sleep(0)
asyncio.run(main())
raise LookupError(SECRET)
"""


def test_uncaught_exceptions_of_every_kind_are_told_without_their_message() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, SECRETS[0]], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1
    assert not ran.stdout
    assert "MOREAU" not in ran.stderr
    told = [json.loads(line)["error"] for line in ran.stderr.splitlines()]
    assert sorted(told) == ["KeyError", "LookupError", "OSError", "RuntimeError", "ZeroDivisionError"]


def test_every_event_in_our_code_is_named_by_a_literal() -> None:
    """A name or a key made from a value would pass the filter of types: the code may not contain one."""
    root = Path(groundglass.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            ours = isinstance(owner, ast.Name) and owner.id.strip("_").lower() == "log"
            if ours and node.func.attr in ("event", "failure"):
                where = f"{path.relative_to(root)}:{node.lineno}"
                assert isinstance(node.args[0], ast.Constant), where
                assert all(keyword.arg for keyword in node.keywords), where


def test_a_failing_stream_stops_nothing(lines: io.StringIO) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(SECRETS[0])

    logs.configure("test", stream=Broken())
    logs.logger("x").event("still-here")
