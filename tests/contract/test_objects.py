"""One suite for every driver of objects: a synced folder, and S3."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from groundglass import config
from groundglass.core.objects import Objects, open_objects
from groundglass.core.objects import folder as folder_driver
from groundglass.errors import NoRoomError, NotFoundError, UnavailableError, UsageError
from support.unreliable import Unreliable

LARGE = 11 << 20  # more than one part of a multipart upload
KEY = "packages/fidac/ab12/0f.zip"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="registry")
    client.close()
    yield f"http://{host}:{port}"
    server.stop()


def s3_settings(tmp_path: Path, endpoint: str) -> config.Settings:
    return config.Settings(
        data=tmp_path,
        objects=config.Objects(
            url=f"s3://registry/{tmp_path.name}",
            endpoint=endpoint,
            access_key_id="test",
            secret_access_key="test",
        ),
    )


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return open_objects(config.Settings(data=tmp_path))
    return open_objects(s3_settings(tmp_path, request.getfixturevalue("s3_endpoint")))


def a_file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "finished"
    path.write_bytes(data)
    return path


def test_what_is_put_is_got(objects: Objects, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(LARGE)
    objects.put_file(KEY, a_file(tmp_path, data))
    assert objects.size(KEY) == LARGE
    assert objects.get(KEY) == data
    assert b"".join(objects.stream(KEY)) == data
    objects.put_bytes("b/c", memoryview(data)[:100])
    assert objects.get("b/c") == data[:100]


def test_the_file_that_was_put_stays_and_may_be_removed(objects: Objects, tmp_path: Path) -> None:
    path = a_file(tmp_path, b"finished")
    objects.put_file(KEY, path)
    assert path.read_bytes() == b"finished"
    path.unlink()
    assert objects.get(KEY) == b"finished"


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, None), (0, 0), (0, 4), (3, 4), (9, 1), (9, 100), (10, 1), (10, None), (999, 5), (999, None), (5, None)],
)
def test_a_range_is_cut_at_the_end(objects: Objects, offset: int, length: int | None) -> None:
    data = b"0123456789"
    objects.put_bytes(KEY, data)
    expected = data[offset:] if length is None else data[offset : offset + length]
    assert objects.get(KEY, offset, length) == expected
    assert b"".join(objects.stream(KEY, offset, length)) == expected


def test_an_empty_object_exists(objects: Objects, tmp_path: Path) -> None:
    objects.put_bytes("a/empty", b"")
    objects.put_file("a/empty-file", a_file(tmp_path, b""))
    assert (objects.size("a/empty"), objects.size("a/empty-file")) == (0, 0)
    assert (objects.get("a/empty"), list(objects.stream("a/empty-file"))) == (b"", [])


def test_doing_it_twice_changes_nothing(objects: Objects, tmp_path: Path) -> None:
    path = a_file(tmp_path, b"same")
    for _ in range(3):
        objects.put_file(KEY, path)
        objects.put_bytes("b", b"same")
    assert sorted(objects.list()) == sorted([KEY, "b"])
    for _ in range(2):
        objects.delete(KEY)
    assert list(objects.list()) == ["b"]
    assert objects.size(KEY) is None


def test_a_put_replaces_in_one_step(objects: Objects) -> None:
    objects.put_bytes(KEY, b"first")
    objects.put_bytes(KEY, b"second, longer")
    assert objects.get(KEY) == b"second, longer"


def test_what_is_absent_is_not_found(objects: Objects, tmp_path: Path) -> None:
    for read in (objects.get, objects.stream):
        for rest in ((), (2, 3)):
            with pytest.raises(NotFoundError):
                read(KEY, *rest)
    objects.put_bytes("a", b"a file where the key has a folder")
    assert objects.size("a/b") is None
    with pytest.raises(NotFoundError):
        objects.put_file(KEY, tmp_path / "nothing")
    assert objects.size(KEY) is None


def test_a_list_is_of_a_folder(objects: Objects) -> None:
    for key in ("a/b/1", "a/b/2", "a/bc/3", "a/4", "d"):
        objects.put_bytes(key, b"x")
    assert sorted(objects.list("a/b")) == ["a/b/1", "a/b/2"]
    assert sorted(objects.list("a")) == ["a/4", "a/b/1", "a/b/2", "a/bc/3"]
    assert sorted(objects.list()) == ["a/4", "a/b/1", "a/b/2", "a/bc/3", "d"]
    assert list(objects.list("nothing")) == []


HOSTILE = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/../b",
    "./a",
    "a/.",
    ".tmp/x",
    "a\\b",
    "a\0",
    "a\n",
    "é",
    "a b",
    "C:",
    "a" * 201,
]


@pytest.mark.parametrize("key", [*HOSTILE, "/".join("ab" * 70 for _ in range(6)), "~", "a*", "%2e%2e/x"])
def test_a_key_that_is_none_is_refused_everywhere(objects: Objects, tmp_path: Path, key: str) -> None:
    path = a_file(tmp_path, b"x")
    calls = [
        lambda: objects.put_bytes(key, b""),
        lambda: objects.put_file(key, path),
        lambda: objects.get(key),
        lambda: objects.stream(key),
        lambda: objects.size(key),
        lambda: objects.delete(key),
        lambda: objects.local_path(key),
    ]
    for call in calls:
        with pytest.raises(UsageError):
            call()


@given(st.text(alphabet="ab./\\-_ \0é", max_size=12))
def test_no_key_leaves_the_folder(key: str) -> None:
    root = Path("/objects")
    try:
        path = root / folder_driver.valid_key(key)
    except UsageError:
        return
    assert os.path.normpath(path) == str(path)
    assert path.is_relative_to(root)


@pytest.mark.parametrize("bad", [(-1, None), (0, -1)])
def test_a_range_before_the_object_is_refused(objects: Objects, bad: tuple[int, int | None]) -> None:
    objects.put_bytes(KEY, b"x")
    with pytest.raises(UsageError):
        objects.get(KEY, *bad)


def test_writers_of_one_key_leave_one_whole_object(objects: Objects) -> None:
    bodies = [bytes([n]) * 300_000 for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda body: objects.put_bytes("same/new/folder/key", body), bodies))
    assert objects.get("same/new/folder/key") in bodies


def test_only_the_folder_has_local_paths(objects: Objects) -> None:
    objects.put_bytes(KEY, b"x")
    path = objects.local_path(KEY)
    assert path is None or path.read_bytes() == b"x"


# The folder's own promises


@pytest.fixture
def folder(tmp_path: Path) -> Objects:
    return open_objects(config.Settings(data=tmp_path))


def test_every_new_name_is_synced_before_put_returns(
    folder: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    root = tmp_path / "registry" / "objects"
    sync, replace = os.fsync, Path.replace

    def fsync(fd: int) -> None:
        where = Path(os.readlink(f"/proc/self/fd/{fd}")).relative_to(root).as_posix()
        calls.append(("sync", "file" if where.startswith(".tmp/") else where))
        sync(fd)

    def renamed(self: Path, target: Path) -> Path:
        calls.append(("rename", target.relative_to(root).as_posix()))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    folder.put_bytes("a/b/c", b"x")
    assert calls == [("sync", "file"), ("sync", "."), ("sync", "a"), ("rename", "a/b/c"), ("sync", "a/b")]
    calls.clear()
    folder.delete("a/b/c")
    assert calls == [("sync", "a/b")]


def test_a_folder_that_another_writer_made_is_synced_too(
    folder: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "registry" / "objects" / "a").mkdir()
    synced: list[str] = []
    sync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name), sync(fd))
    )
    folder.put_bytes("a/x", b"x")
    assert "objects" in synced


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["write", "fsync", "mkdir", "replace"])
def test_a_put_that_fails_shows_nothing(
    folder: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), KEY)

    owner = Path if call in ("mkdir", "replace") else os
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, fail)
        expected = NoRoomError if code in (errno.ENOSPC, errno.EDQUOT) else UnavailableError
        with pytest.raises(expected) as caught:
            folder.put_bytes(KEY, b"x" * 100)
    assert KEY not in str(caught.value)
    assert folder.size(KEY) is None
    assert list(folder.list()) == []
    assert not [path for path in (tmp_path / "registry").rglob("*") if path.is_file()]
    folder.put_bytes(KEY, b"room again")
    assert folder.get(KEY) == b"room again"


def test_a_real_disk_that_fills_up_publishes_nothing(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mounted)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs the right to")
    try:
        objects = open_objects(config.Settings(data=tmp_path, objects=config.Objects(url=f"file://{mounted}")))
        source = a_file(tmp_path, b"x" * (2 << 20))
        for put in (lambda: objects.put_file(KEY, source), lambda: objects.put_bytes(KEY, source.read_bytes())):
            with pytest.raises(NoRoomError):
                put()
            assert list(objects.list()) == []
        objects.put_bytes(KEY, b"small enough")
        assert objects.get(KEY) == b"small enough"
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_a_writer_killed_in_mid_write_leaves_no_object(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from groundglass import config
from groundglass.core.objects import folder
real = os.write
def half(fd, data):
    if len(data) < 1000: return real(fd, data)
    real(fd, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = half
folder.FolderObjects(Path(sys.argv[1])).put_bytes("a/b", b"x" * 100_000)
"""
    root = tmp_path / "objects"
    ran = subprocess.run([sys.executable, "-c", program, str(root)], check=False, timeout=60)
    assert ran.returncode == -9
    left = list((root / ".tmp").iterdir())
    assert len(left) == 1
    objects = folder_driver.FolderObjects(root)
    assert list(objects.list()) == []
    assert left[0].exists(), "a young one may be a living writer's"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: left[0].stat().st_ctime + 90_000)
        folder_driver.FolderObjects(root)
    assert not left[0].exists()


# S3 on bad days


def test_thirty_in_a_hundred_answers_503_or_cut_publish_nothing_half(tmp_path: Path, s3_endpoint: str) -> None:
    with Unreliable(s3_endpoint, seed=5, failing=0.3) as proxy:
        objects = open_objects(s3_settings(tmp_path, proxy.url))
        bodies = {f"small/{n}": random.Random(n).randbytes(1000 + n) for n in range(30)}
        path = a_file(tmp_path, random.Random(0).randbytes(LARGE))
        stored = {key for key, body in bodies.items() if _survives(lambda k=key, b=body: objects.put_bytes(k, b))}
        if _survives(lambda: objects.put_file("large", path)):
            stored.add("large")
        assert proxy.failed > 5
    bodies["large"] = path.read_bytes()
    clean = open_objects(s3_settings(tmp_path, s3_endpoint))
    present = set(clean.list())
    assert stored <= present
    for key in present:
        assert clean.get(key) == bodies[key]


def test_a_store_that_is_away_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from groundglass.core.objects import s3

    monkeypatch.setattr(s3, "_RETRIES", {"max_retries": 1})
    with Unreliable("http://127.0.0.1:1", seed=1, failing=1.0) as proxy:
        objects = open_objects(s3_settings(tmp_path, proxy.url))
        with pytest.raises(UnavailableError) as caught:
            objects.put_bytes(KEY, b"x")
        with pytest.raises(UnavailableError):
            objects.get(KEY)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", ["relative", "/plain/path", "file://host/x", "s3://", "http://x/y", "s3:bucket"])
def test_another_url_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError):
        open_objects(config.Settings(data=tmp_path, objects=config.Objects(url=url, skip_signature=True)))


def test_s3_without_credentials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="skip_signature"):
        open_objects(config.Settings(data=tmp_path, objects=config.Objects(url="s3://bucket")))


def _survives(put: object) -> bool:
    try:
        put()  # type: ignore[operator]
    except UnavailableError:
        return False
    return True
