"""The series package: pack objects, merge a part into the current version, read one strictly (registry.md 12)."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from groundglass.series import zipformat
from groundglass.series.facts import Facts, facts_of
from groundglass.series.invalid import InvalidPackageError, UidConflictError
from groundglass.series.manifest import Instance, Manifest
from groundglass.series.source import FileSpan, Part, Sink, Source, write_all

__all__ = ["FileSpan", "InvalidPackageError", "Member", "UidConflictError", "merge", "new_in", "pack", "read_manifest"]

BUFFER_BYTES = 8 * 2**20  # an object up to this size is read once; a larger one twice, in pieces


@dataclass(frozen=True, slots=True)
class Member:
    """One de-identified Part 10 object, as the concatenation of its parts."""

    sop_instance_uid: str
    parts: tuple[Part, ...]


def pack(members: Iterable[Member], out: Sink) -> Manifest:
    """Write the objects of one series as a package and return its manifest; the order given does not matter.

    Each byte is read once and hashed twice, for the object and for the package. Raises InvalidPackageError, also when
    two members have one SOP Instance UID or a member's bytes carry another.
    """
    writer = _Package(out)
    for member in sorted(members, key=lambda member: member.sop_instance_uid):
        if writer.add(Source.of(member.parts)).sop_instance_uid != member.sop_instance_uid:
            raise InvalidPackageError("other-instance")
    return writer.finish()


def merge(current: tuple[int, Manifest], part: tuple[int, Manifest], out: Sink) -> Manifest:
    """Write the package of everything in both, byte-equal to packing all at once.

    Each package is an open file and its manifest. The same object in both counts once; raises UidConflictError when one
    UID names two, InvalidPackageError("changed-bytes") when a file is no longer what its manifest says.
    """
    chosen = [(current[0], each) for each in current[1].instances]
    chosen += [(part[0], each) for each in new_in(current[1], part[1])]
    merged = pack(
        (Member(each.sop_instance_uid, (FileSpan(fd, each.offset, each.length),)) for fd, each in chosen), out
    )
    if sorted(each.sha256 for each in merged.instances) != sorted(each.sha256 for _, each in chosen):
        raise InvalidPackageError("changed-bytes")
    return merged


def new_in(current: Manifest, part: Manifest) -> tuple[Instance, ...]:
    """Return the objects of `part` that `current` does not have. Raises UidConflictError, InvalidPackageError."""
    if (current.series_instance_uid, current.study_instance_uid) != (part.series_instance_uid, part.study_instance_uid):
        raise InvalidPackageError("other-series")
    known = {each.sop_instance_uid: each.sha256 for each in current.instances}
    if any(known.get(each.sop_instance_uid, each.sha256) != each.sha256 for each in part.instances):
        raise UidConflictError
    return tuple(each for each in part.instances if each.sop_instance_uid not in known)


def read_manifest(fd: int) -> Manifest:
    """Rebuild the manifest of the package in this open file, every hash computed anew.

    Raises InvalidPackageError when a single byte is not where and what `pack` would have written.
    """
    size = os.fstat(fd).st_size
    package = _Package(None)
    while (found := _local_header(fd, package, size)) is not None:
        length, crc = found
        package.add(Source.of((FileSpan(fd, package.at + zipformat.LOCAL_BYTES, length),)), crc=crc)
    tail = package.tail()
    if size - package.at != len(tail) or _read(fd, package.at, len(tail)) != tail:
        raise InvalidPackageError("directory")
    return package.finish()


def _local_header(fd: int, package: _Package, size: int) -> tuple[int, int] | None:
    """Return (length, CRC-32) of the object that comes next, None when the directory does."""
    header = _read(fd, package.at, min(zipformat.LOCAL_BYTES, size - package.at))
    found = zipformat.read_local_header(header, len(package.entries) + 1)
    if found is not None and package.at + len(header) + found[0] > size:
        raise InvalidPackageError("truncated")
    return found


def _read(fd: int, offset: int, length: int) -> bytes:
    return Source.of((FileSpan(fd, offset, length),)).read(0, length)


class _Package:
    """A package as it grows, object by object; with `out` None it is only hashed."""

    def __init__(self, out: Sink | None) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._instances: list[Instance] = []
        self._study_and_series = ("", "")
        self.entries: list[zipformat.Entry] = []
        self.at = 0

    def add(self, source: Source, *, crc: int | None = None) -> Instance:
        """Take the next object in the order of the UIDs. Raises InvalidPackageError, also unless it has this CRC-32."""
        if source.size > zipformat.MAX_ENTRY_BYTES:
            raise InvalidPackageError("instance-too-large")
        whole = self._buffer[: source.size]
        if source.size <= len(self._buffer):
            source.read_into(whole)
            source = Source.of((whole,))
        sha256, found = _digests(source, self._buffer)
        if crc not in (None, found):
            raise InvalidPackageError("crc")
        instance = self._accept(facts_of(source.read, size=source.size), sha256, source.size)
        self._emit(zipformat.local_header(len(self.entries) + 1, length=source.size, crc=found))
        self.entries.append(zipformat.Entry(instance.offset - zipformat.LOCAL_BYTES, source.size, found))
        for chunk in source.chunks(self._buffer):
            self._emit(chunk)
        return instance

    def tail(self) -> bytes:
        """Return what follows the last object. Raises InvalidPackageError("empty")."""
        if not self.entries:
            raise InvalidPackageError("empty")
        return zipformat.directory(self.entries)

    def finish(self) -> Manifest:
        """Put the tail and return the manifest."""
        self._emit(self.tail())
        return Manifest(self._hash.hexdigest(), self.at, *self._study_and_series, tuple(self._instances))

    def _accept(self, facts: Facts, sha256: str, length: int) -> Instance:
        """Keep the manifest's entry of an object that is the series' next. Raises InvalidPackageError."""
        of = (facts.study_instance_uid, facts.series_instance_uid)
        if self._instances and of != self._study_and_series:
            raise InvalidPackageError("mixed-series")
        if self._instances and facts.sop_instance_uid <= self._instances[-1].sop_instance_uid:
            same = facts.sop_instance_uid == self._instances[-1].sop_instance_uid
            raise InvalidPackageError("duplicate-instance" if same else "instance-order")
        offset = self.at + zipformat.LOCAL_BYTES
        self._study_and_series = of
        self._instances.append(_instance(facts, sha256, offset=offset, length=length, rank=len(self._instances) + 1))
        return self._instances[-1]

    def _emit(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self.at += len(data)
        if self._out is not None:
            write_all(self._out, data)


def _digests(source: Source, buffer: memoryview) -> tuple[str, int]:
    """Return the SHA-256 in hex and the CRC-32 of an object."""
    sha256, crc = hashlib.sha256(), 0
    for chunk in source.chunks(buffer):
        sha256.update(chunk)
        crc = zlib.crc32(chunk, crc)
    return sha256.hexdigest(), crc


def _instance(facts: Facts, sha256: str, *, offset: int, length: int, rank: int) -> Instance:
    return Instance(
        sop_instance_uid=facts.sop_instance_uid,
        name=zipformat.name(rank),
        offset=offset,
        length=length,
        header=facts.header,
        sha256=sha256,
        sop_class_uid=facts.sop_class_uid,
        transfer_syntax_uid=facts.transfer_syntax_uid,
        instance_number=facts.instance_number,
        rows=facts.rows,
        columns=facts.columns,
        position=facts.position,
        frames=tuple((offset + start, size) for start, size in facts.frames),
        fragments=facts.fragments,
    )
