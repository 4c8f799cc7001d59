"""Children are started again when they die, and end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundglass.core import supervisor
from groundglass.core.supervisor import Role, Supervisor
from groundglass.errors import UnavailableError

PYTHON = sys.executable
# Stands where `python -m groundglass role NAME --ready-fd N …` stands: says that it is ready, writes its number, waits.
CHILD = """
import os, sys, time
name, fd = sys.argv[2], int(sys.argv[4])
if name != "mute":
    os.write(fd, b"1")
open(os.path.join(os.environ["NOTES"], name), "a").write(f"{os.getpid()}\\n")
time.sleep(600)
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "python"
    (tmp_path / "child.py").write_text(CHILD)
    program.write_text(f'#!/bin/sh\nshift 2\nexec {PYTHON} {tmp_path}/child.py "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(supervisor.sys, "executable", str(program))
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_child_comes_back_and_stop_ends_all(notes: Path) -> None:
    children = Supervisor([Role("one"), Role("two")], {**os.environ, "NOTES": str(notes)})
    children.start()
    children.wait_ready(lambda: False, seconds=20)
    until(lambda: pids(notes / "one") and pids(notes / "two"))
    os.kill(pids(notes / "one")[0], signal.SIGKILL)

    def twice() -> bool:
        children.tend()
        return len(pids(notes / "one")) == 2

    until(twice)
    children.stop()
    assert not any(alive(pid) for name in ("one", "two") for pid in pids(notes / name))
    assert len(pids(notes / "two")) == 1


def test_who_is_not_ready_is_named(notes: Path) -> None:
    children = Supervisor([Role("one"), Role("mute")], {**os.environ, "NOTES": str(notes)})
    children.start()
    with pytest.raises(UnavailableError, match="mute"):
        children.wait_ready(lambda: False, seconds=1)
    children.stop()


def test_children_die_with_a_killed_parent(notes: Path, tmp_path: Path) -> None:
    program = f"""
import sys, time
from groundglass.core import supervisor
supervisor.sys.executable = {str(tmp_path / "python")!r}
import os
children = supervisor.Supervisor([supervisor.Role("one")], {{**os.environ, "NOTES": {str(notes)!r}}})
children.start()
time.sleep(600)
"""
    parent = subprocess.Popen([PYTHON, "-c", program])
    try:
        until(lambda: pids(notes / "one"))
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not alive(pids(notes / "one")[0]))
