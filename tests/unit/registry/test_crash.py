"""Killed at each fail point, then done again: the same bytes and rows as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from groundglass.core import audit
from groundglass.core.objects.folder import FolderObjects
from groundglass.errors import NoRoomError
from groundglass.registry import archive, inbox, sweep
from groundglass.series import package
from support.packages import Registry, packed

# Runs the job in a process of its own, so that SIGKILL kills nothing else.
PROGRAM = """
import sys
from groundglass.config import Settings
from groundglass.core.jobs import Context
from groundglass.registry import archive, inspection

inspection.verify.check = lambda head, size, *, seeds=(): ()
archive.archive(Context(Settings.model_validate_json(sys.argv[1]), "registry"), sha256=sys.argv[2])
"""
POINTS = [
    "inspected",
    "package-put",
    "manifest-put",
    "headers-put",
    "effect-inserted",
    "index-written",
    "before-commit",
    "after-commit-before-ack",
]


def run(registry: Registry, sha256: str, *, failpoint: str = "") -> int:
    environment = {**os.environ, "GROUNDGLASS_FAILPOINT": failpoint}
    command = [sys.executable, "-W", "error", "-c", PROGRAM, registry.settings.model_dump_json(), sha256]
    return subprocess.run(command, env=environment, check=False, timeout=60).returncode


def test_killed_over_a_new_series(registry: Registry):
    for number, point in enumerate(POINTS):
        series = f"2.25.{number}"
        data = packed([1, 2], series=series, study=f"2.25.9{number}")
        sha256 = registry.send(data)
        assert run(registry, sha256, failpoint=point) == -signal.SIGKILL, point
        assert run(registry, sha256) == 0, point
        assert {key: value for key, value in registry.stored().items() if f"/{series}/" in key}.keys() == {
            f"packages/fidac/{series}/{sha256}{kind}" for kind in (".zip", ".json", ".headers.json.gz")
        }
        assert registry.stored()[f"packages/fidac/{series}/{sha256}.zip"] == data
        assert registry.receipt(sha256)["series_version"] == 1
        assert registry.waiting() == [], point
    everything = len(POINTS)
    assert registry.rows("SELECT version, count(*) FROM package GROUP BY version") == [(1, everything)]
    assert registry.rows("SELECT instance_count, count(*) FROM study GROUP BY instance_count") == [(2, everything)]
    assert registry.rows("SELECT action, count(*) FROM event GROUP BY action ORDER BY action") == [
        ("package.archived", everything),
        ("package.receive", everything),
    ]
    assert audit.verify(registry.conn) is None


def test_killed_over_each_following_version(registry: Registry):
    registry.deliver(packed([0]))
    for number, point in enumerate(POINTS, 1):
        sha256 = registry.send(packed([number]))
        assert run(registry, sha256, failpoint=point) == -signal.SIGKILL, point
        assert run(registry, sha256) == 0, point
        ((series_id,),) = registry.rows("SELECT id FROM series")
        sweep.tidy(registry.context, series_id=series_id)
        stored = registry.stored()
        assert packed(range(number + 1)) in stored.values(), point
        assert len(stored) == 3, point
        assert registry.rows("SELECT version, instances FROM series") == [(number + 1, number + 1)]
    halves = [path for path in registry.waiting() if not path.name.endswith(".merged")]
    assert halves == []


def test_what_another_part_overtook_is_tidied_away(registry: Registry):
    """Killed after its package was put, and another part comes first: the put is of no version."""
    overtaken = registry.send(packed([1]))
    assert run(registry, overtaken, failpoint="headers-put") == -signal.SIGKILL
    registry.deliver(packed([2]))
    assert run(registry, overtaken) == 0
    ((series_id,),) = registry.rows("SELECT id FROM series")
    sweep.tidy(registry.context, series_id=series_id)
    stored = registry.stored()
    assert len(stored) == 3
    assert packed([1, 2]) in stored.values()


def test_killed_over_a_refusal(registry: Registry):
    sha256 = registry.send(b"hello")
    for point in ("effect-inserted", "before-commit", "after-commit-before-ack"):
        assert run(registry, sha256, failpoint=point) == -signal.SIGKILL
    assert run(registry, sha256) == 0
    assert registry.receipt(sha256)["reasons"] == ["invalid_package"]
    assert (registry.stored(), registry.waiting()) == ({}, [])
    assert registry.rows("SELECT action, count(*) FROM event GROUP BY action ORDER BY action") == [
        ("package.receive", 1),
        ("package.refused", 1),
    ]


RECEIVE = """
import sys
from pathlib import Path
from groundglass.config import Settings
from groundglass.core.database import connect
from groundglass.registry import inbox
from support.packages import offer_of

settings = Settings.model_validate_json(sys.argv[1])
path = Path(sys.argv[2])
with connect(settings, "registry") as conn:
    inbox.receive(conn, settings, offer_of(path.read_bytes()), path)
"""


@pytest.mark.parametrize("point", ["inbox-put", "inbox-before-commit"])
def test_killed_while_receiving(registry: Registry, point: str):
    data = packed([1])
    path = inbox.incoming(registry.settings, "upload")
    path.write_bytes(data)
    environment = {**os.environ, "GROUNDGLASS_FAILPOINT": point, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", RECEIVE, registry.settings.model_dump_json(), str(path)]
    assert subprocess.run(command, env=environment, check=False, timeout=60).returncode == -signal.SIGKILL
    assert registry.rows("SELECT count(*) FROM inbox") == [(0,)]
    assert registry.deliver(data)["verdict"] == "archived"
    assert registry.waiting() == []


@pytest.mark.parametrize("verb", ["put_file", "put_bytes"])
def test_a_full_disk_fails_the_attempt_and_nothing_else(registry: Registry, monkeypatch, verb: str):
    registry.deliver(packed([1]))
    sha256 = registry.send(packed([2]))
    before = registry.rows("SELECT version FROM series"), registry.rows("SELECT count(*) FROM event")
    with monkeypatch.context() as broken:

        def full(*_: object) -> None:
            raise NoRoomError("full")

        broken.setattr(FolderObjects, verb, full)
        with pytest.raises(NoRoomError):
            archive.archive(registry.context, sha256=sha256)
    assert before == (registry.rows("SELECT version FROM series"), registry.rows("SELECT count(*) FROM event"))
    assert registry.decide(sha256)["series_version"] == 2
    assert registry.waiting() == []


def test_a_disk_that_fills_while_merging_leaves_no_half(registry: Registry, monkeypatch):
    registry.deliver(packed([1]))
    sha256 = registry.send(packed([2]))

    def full(current, part, out) -> None:
        out.write(b"half")
        raise OSError(28, "injected")

    with monkeypatch.context() as broken:
        broken.setattr(package, "merge", full)
        with pytest.raises(OSError, match="injected"):
            archive.archive(registry.context, sha256=sha256)
    assert registry.waiting() == [inbox.path_of(registry.settings, sha256)]
    assert registry.decide(sha256)["instances"] == 2
