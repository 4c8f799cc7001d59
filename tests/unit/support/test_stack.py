"""The stack's helper on a made-up `serve`: it finds the ready line, kills by role, and leaves nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from support.stack import Stack, until

FAKE = """\
#!{python}
import ctypes, os, signal, subprocess, sys, time
if sys.argv[1] != "serve":
    print(os.environ.get("GROUNDGLASS_GATEWAY__SETTLE_SECONDS"), *sys.argv[1:])
    sys.exit(0)
if os.environ.get("GROUNDGLASS_FAILPOINT") == "no-start":
    sys.exit("cannot start")
def start(name):
    tie = lambda: ctypes.CDLL(None).prctl(1, 9)
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", "role", name], preexec_fn=tie)
children = {{name: start(name) for name in ("web", "worker-gateway")}}
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
print("ready http://127.0.0.1:1234 gateway=http://127.0.0.1:1235 dicom=GROUNDGLASS@127.0.0.1:104", flush=True)
while not stopped:
    time.sleep(0.02)
    for name, child in children.items():
        if child.poll() is not None:
            children[name] = start(name)
for child in children.values():
    child.kill(); child.wait()
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    program = tmp_path / "fake"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    made = Stack(tmp_path, {"GROUNDGLASS_GATEWAY__SETTLE_SECONDS": "0.125"})
    made.command = program
    return made


def test_the_ready_line_is_read_and_a_clean_stop_leaves_nothing(stack: Stack) -> None:
    with stack:
        assert stack.doors.url == "http://127.0.0.1:1234"
        assert (stack.doors.gateway, stack.doors.aet, stack.doors.port) == ("http://127.0.0.1:1235", "GROUNDGLASS", 104)
        children = psutil.Process(stack.pid).children()
        assert len(children) == 2
        assert stack.stop() == 0
        assert not [child for child in children if child.is_running()]


def test_a_role_is_killed_and_another_process_takes_it_up(stack: Stack) -> None:
    with stack:
        old = stack.kill("worker-gateway")
        assert stack.wait_back("worker-gateway", old) != old
        assert stack.pid_of("web") != stack.pid_of("worker-gateway")


def test_the_supervisor_is_killed_and_started_again(stack: Stack) -> None:
    with stack:
        old = stack.pid
        stack.kill_all()
        assert not psutil.pid_exists(old)
        stack.restart()
        assert stack.pid != old


def test_a_failing_test_leaves_no_process(stack: Stack) -> None:
    pids = []

    def failing() -> None:
        with stack:
            pids.extend((stack.pid, *(child.pid for child in psutil.Process(stack.pid).children())))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert len(pids) == 3
    until(lambda: not [pid for pid in pids if psutil.pid_exists(pid)], 10)


def test_a_serve_that_ends_is_reported_with_what_it_said(stack: Stack) -> None:
    with pytest.raises(AssertionError, match="cannot start"):
        stack.start(failpoint="no-start")


def test_commands_get_the_folder_and_the_settings(stack: Stack) -> None:
    assert stack.run("ledger", "--json").stdout.split() == ["0.125", "ledger", "--json", "--data", str(stack.data)]
