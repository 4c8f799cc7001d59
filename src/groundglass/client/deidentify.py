"""The folder command: files, folders and ZIPs in, an anonymised tree out, nothing sent.

Each file is judged and written on its own, by as many processes as asked; what needs more than one file (duplicates,
one UID with two contents, two patients in one study) is settled in the order of reading, so workers change nothing. A
named output is complete: it is written under another name and renamed. As with `cp`, nothing is forced to the disk.
"""

from __future__ import annotations

import errno
import filecmp
import json
import multiprocessing
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from groundglass.client import sources
from groundglass.client.sources import Source
from groundglass.deid import profile as profiles
from groundglass.deid import reasons, verify
from groundglass.deid.describe import describe as describe_profile
from groundglass.deid.engine import Deidentified, Engine, NeedMore, Rejected, Span
from groundglass.deid.identifiers import Keys
from groundglass.deid.profile import Profile
from groundglass.errors import UsageError

_HEAD = 16 << 10  # nearly every header ends before; the engine asks for more
_BLOCK = 1 << 20
_DICOMDIR = b"\x02\0\x02\0UI\x14\x001.2.840.10008.1.3.10"
_CHUNK = 16
Grade = Literal["pass", "review", "refuse"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the files, in objects. read = written + quarantined + refused + duplicates."""

    read: int
    written: int
    quarantined: int
    refused: int
    duplicates: int
    ignored: int


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file by its order of reading. `output` is relative to OUT; no path and no hash of an input is here."""

    n: int
    output: str | None
    grade: Grade
    code: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did, without any identity."""

    profile: dict[str, str]
    counts: Counts
    files: tuple[FileReport, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True)
class _Job:
    """What every worker needs. `master` is the key; it lives no longer than the run."""

    profile: Profile
    master: bytes = field(repr=False)
    collection: str
    centre: str
    out: str | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one file became: `partial` waits to be renamed to `output`."""

    code: str | None
    grade: Grade
    output: str = ""
    partial: str | None = None
    study: str = ""
    patient: str = ""


def describe(profile: str, lang: str) -> str:
    """What a profile (name or TOML file) does to each attribute, generated from the tables that do it."""
    return describe_profile(_profile(profile), lang)


def run(
    named: Sequence[Path],
    out: Path | None,
    *,
    profile: str = "fidac-anonyme",
    key: Path | None = None,
    collection: str = "fidac",
    centre: str = "LOCAL",
    quarantine: Path | None = None,
    workers: int = 1,
    report: Path | None = None,
    statements: Path | None = None,
    dry_run: bool = False,
) -> Report:
    """De-identify what `named` holds into OUT/<PatientID>/<Study>/<Series>/<SOP>.dcm.

    UsageError for a bad profile or key; NotFoundError for a source that is not there. Bad input is in the report.
    """
    chosen = _profile(profile)
    master = _master(key)
    target = None if dry_run or out is None else os.fspath(out)
    job = _Job(chosen, bytes(master), collection, centre, target)
    try:
        run_ = _Run(target, quarantine)
        for number, (source, outcome) in enumerate(_outcomes(job, named, workers)):
            run_.settle(number, source, outcome)
        result = run_.report(chosen)
    finally:
        master[:] = bytes(len(master))  # best effort: the random key ends here
    if report is not None:
        _write_whole(report, result.to_json().encode())
    if statements is not None:
        run_.write_statements(statements, result)
    return result


def _profile(name: str) -> Profile:
    if name in profiles.NAMED:
        return profiles.load(name)
    try:
        return profiles.load(Path(name).read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"no such profile: use {', '.join(profiles.NAMED)} or a TOML file") from None


def _master(key: Path | None) -> bytearray:
    if key is None:
        return bytearray(secrets.token_bytes(32))
    try:
        master = bytearray.fromhex(key.read_text("ascii").strip())
    except (OSError, ValueError):
        raise UsageError("the key file must hold 64 hexadecimal digits") from None
    if len(master) != 32:
        raise UsageError("the key file must hold 64 hexadecimal digits")
    return master


def _outcomes(job: _Job, named: Sequence[Path], workers: int) -> Iterator[tuple[Source, _Outcome | None]]:
    """Every source with its outcome, in the order of reading; None: not DICOM, ignored."""
    found = list(sources.find(named))
    if workers <= 1 or len(found) < 2 * _CHUNK:
        worker = _Worker(job)
        yield from ((source, worker.judge(number, source)) for number, source in enumerate(found))
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start_worker, (job,)) as pool:
        yield from zip(found, pool.imap(_in_worker, enumerate(found), _CHUNK), strict=True)


_worker: _Worker | None = None


def _start_worker(job: _Job) -> None:
    global _worker
    _worker = _Worker(job)


def _in_worker(task: tuple[int, Source]) -> _Outcome | None:
    assert _worker is not None
    return _worker.judge(*task)


class _Worker:
    """Judges and writes one file at a time."""

    def __init__(self, job: _Job) -> None:
        keys = Keys.derive(job.master, collection=job.collection, centre=job.centre)
        self._engine = Engine(job.profile, keys)
        self._out = job.out
        self._folders: set[str] = set()

    def judge(self, number: int, source: Source) -> _Outcome | None:
        """The outcome of one source. Whatever an input does, it alone is held back."""
        if source.refused:
            return _Outcome("unreadable", "refuse")
        try:
            with sources.opened(source) as (fd, size):
                return self._judge(number, source, fd, size)
        except OSError:  # a disk that is full or gone ends the run
            raise
        except Exception:  # noqa: BLE001 - a damaged ZIP raises whatever its decompressor does
            return _Outcome("unreadable", "refuse")

    def _judge(self, number: int, source: Source, fd: int, size: int) -> _Outcome | None:
        head = os.pread(fd, _HEAD, 0)
        if not source.named and head[132:400].find(_DICOMDIR) >= 0:
            return None
        found = self._engine.deidentify(head, size)
        while isinstance(found, NeedMore):
            head = os.pread(fd, found.length, 0)
            found = self._engine.deidentify(head, size)
        if isinstance(found, Rejected):
            ignored = found.code == "not_dicom" and not source.named
            return None if ignored else _Outcome(found.code, found.grade)
        if code := _faults(fd, found):
            return _Outcome(code, "refuse")
        output = "/".join(
            (found.patient_id, found.study_instance_uid, found.series_instance_uid, found.sop_instance_uid + ".dcm")
        )
        partial = None if self._out is None else self._write(number, fd, found, output)
        return _Outcome(None, "pass", output, partial, found.study_instance_uid, found.patient_id)

    def _write(self, number: int, fd: int, found: Deidentified, output: str) -> str:
        folder = os.path.join(self._out or "", os.path.dirname(output))
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        partial = os.path.join(folder, f".{number}.part")
        target = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            for part in found.parts:
                if isinstance(part, Span):
                    copy(fd, target, part)
                else:
                    _write_all(target, part)
        except BaseException:
            os.unlink(partial)
            raise
        finally:
            os.close(target)
        return partial


def copy(fd: int, target: int, span: Span) -> None:
    """Copy bytes of `fd` to the end of `target`, by the kernel where it can. EOFError when `fd` is shorter."""
    at, end = span.offset, span.offset + span.length
    while at < end:
        try:
            done = os.copy_file_range(fd, target, end - at, at)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
                raise
            block = os.pread(fd, min(_BLOCK, end - at), at)
            _write_all(target, block)
            done = len(block)
        if done == 0:
            raise EOFError("the source became shorter while it was read")
        at += done


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def _faults(fd: int, found: Deidentified) -> str | None:
    """The code of the first fault that the verifier finds, None when it passes."""
    opening = found.parts[0]
    assert isinstance(opening, bytes)
    verdict = verify.check(opening, found.size, seeds=found.seeds)
    if isinstance(verdict, verify.NeedMore):
        pieces = [os.pread(fd, p.length, p.offset) if isinstance(p, Span) else p for p in found.parts]
        verdict = verify.check(b"".join(pieces), found.size, seeds=found.seeds)
    if isinstance(verdict, verify.NeedMore):
        return "conformance"
    return verdict[0].code if verdict else None


class _Run:
    """Settles outcomes in the order of reading: names them, tells repeats from conflicts, fills the quarantine."""

    def __init__(self, out: str | None, quarantine: Path | None) -> None:
        self._out, self._quarantine = out, quarantine
        self._files: list[FileReport] = []
        self._ignored = 0
        self._by_output: dict[str, tuple[int, Source]] = {}
        self._conflicts: set[str] = set()
        self._patient_of: dict[str, str] = {}

    def settle(self, _number: int, source: Source, outcome: _Outcome | None) -> None:
        if outcome is None:
            self._ignored += 1
        elif outcome.code is not None:
            self._hold(source, outcome.code, outcome.grade)
        elif self._patient_of.setdefault(outcome.study, outcome.patient) != outcome.patient:
            self._drop(outcome.partial)
            self._hold(source, "wrong_subject", "review")
        elif outcome.output in self._by_output or outcome.output in self._conflicts:
            self._repeat(source, outcome)
        else:
            self._by_output[outcome.output] = (len(self._files), source)
            if outcome.partial is not None:
                os.replace(outcome.partial, os.path.join(self._out or "", outcome.output))
            self._files.append(FileReport(len(self._files), outcome.output, "pass", None))

    def report(self, chosen: Profile) -> Report:
        kinds = Counter("duplicate" if file.code == "duplicate" else file.grade for file in self._files)
        counts = Counts(
            read=len(self._files),
            written=kinds["pass"],
            quarantined=kinds["review"],
            refused=kinds["refuse"],
            duplicates=kinds["duplicate"],
            ignored=self._ignored,
        )
        about = {"id": chosen.id, "version": chosen.version, "sha256": chosen.sha256}
        return Report(about, counts, tuple(self._files))

    def write_statements(self, folder: Path, result: Report) -> None:
        """One JSON per study: what was done to it, in counts. Files that were held back are of no known study."""
        studies = Counter(file.output.split("/")[1] for file in result.files if file.output and file.code is None)
        for study, instances in sorted(studies.items()):
            about = {
                "schema": "groundglass.statement/1",
                "study_instance_uid": study,
                "instances": instances,
                "profile": result.profile,
                "standard": "DICOM PS3.15 2026c",
                "verifier": "pass",
            }
            _write_whole(folder / f"{study}.json", (json.dumps(about, indent=1, sort_keys=True) + "\n").encode())

    def _repeat(self, source: Source, outcome: _Outcome) -> None:
        """The same output again: a duplicate when its bytes are the same, otherwise neither is kept."""
        first = self._by_output.get(outcome.output)
        final = os.path.join(self._out or "", outcome.output)
        if first is not None and (outcome.partial is None or filecmp.cmp(outcome.partial, final, shallow=False)):
            self._drop(outcome.partial)
            self._files.append(FileReport(len(self._files), outcome.output, "pass", "duplicate"))
            return
        self._drop(outcome.partial)
        self._hold(source, "uid_conflict", "review")
        if first is not None:
            number, earlier = first
            self._conflicts.add(outcome.output)
            del self._by_output[outcome.output]
            self._drop(final)
            self._files[number] = FileReport(number, None, "review", "uid_conflict")
            self._keep(number, earlier, "uid_conflict", "review")

    def _hold(self, source: Source, code: str, grade: Grade) -> None:
        number = len(self._files)
        self._files.append(FileReport(number, None, grade, code))
        self._keep(number, source, code, grade)

    def _keep(self, number: int, source: Source, code: str, grade: Grade) -> None:
        """The original and its reason, where a person can look at them."""
        if self._quarantine is None:
            return
        folder = self._quarantine / str(number)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = {"code": code, "grade": grade, "message": reasons.message(code, "fr")}
        _write_whole(folder / "reason.json", (json.dumps(reason, ensure_ascii=False) + "\n").encode())
        if source.refused:
            shutil.copyfile(source.path, folder / "original")
            return
        try:
            with sources.opened(source) as (fd, size), open(folder / "original", "wb") as target:
                copy(fd, target.fileno(), Span(0, size))
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - as in `judge`: what cannot be inflated cannot be kept
            (folder / "original").unlink(missing_ok=True)

    @staticmethod
    def _drop(path: str | None) -> None:
        if path is not None and os.path.exists(path):
            os.unlink(path)


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data)
    partial.replace(path)
