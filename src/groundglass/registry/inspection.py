"""The registry's own look at a package before it is believed: form, hashes, residue of identity, one subject."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from groundglass.deid import verify
from groundglass.errors import UnprocessableError
from groundglass.registry.labels import Labels, labels_of
from groundglass.series.elements import elements
from groundglass.series.facts import data_set_start
from groundglass.series.headers import dicom_json
from groundglass.series.invalid import InvalidPackageError
from groundglass.series.manifest import Instance, Manifest
from groundglass.series.package import read_manifest

_HEAD_BYTES = 64 * 2**10
_LARGEST_READ = 256 * 2**20
_GRAVE = ("identity_residue", "burned_in_text")  # named first: the first reason is the one that gateways count
_PATIENT_ID = 0x00100020


class RefusedPackageError(UnprocessableError):
    """The package is not taken. `reasons` are codes of the one table; nothing of the data is in them."""

    slug = "package-refused"

    def __init__(self, *reasons: str) -> None:
        super().__init__(f"the package is refused: {', '.join(reasons)}")
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Inspected:
    """A package that may be archived."""

    manifest: Manifest
    labels: Labels


def inspect(fd: int, *, accepted: Collection[str]) -> Inspected:
    """Read a whole package strictly and verify every object of it.

    `accepted`: the SOP classes that the collection takes. Raises InvalidPackageError when it is not in our form,
    RefusedPackageError when something in it may not be here.
    """
    manifest = read_manifest(fd)
    if any(each.sop_class_uid not in accepted for each in manifest.instances):
        raise RefusedPackageError("sop_class_unknown")
    found = {code for each in manifest.instances for code in _residue(fd, each)}
    if codes := sorted(found, key=lambda code: (code not in _GRAVE, code)):
        raise RefusedPackageError(*codes)
    if len({_patient_id(_header(fd, each)) for each in manifest.instances}) != 1:
        raise RefusedPackageError("wrong_subject")
    return Inspected(manifest, labels_of(dicom_json(_header(fd, manifest.instances[0]))))


def _residue(fd: int, instance: Instance) -> tuple[str, ...]:
    """Return the codes of what the independent verifier finds in one object."""
    wanted = min(_HEAD_BYTES, instance.length)
    while True:
        found = verify.check(_read(fd, instance.offset, wanted), instance.length)
        if not isinstance(found, verify.NeedMore):
            return tuple(finding.code for finding in found)
        if not wanted < found.length <= min(_LARGEST_READ, instance.length):
            return ("too_large",)
        wanted = found.length


def _patient_id(header: bytes) -> bytes:
    for element in elements(header, data_set_start(header), len(header)):
        if element.tag == _PATIENT_ID:
            return header[element.value : element.end].strip(b" \0")
        if element.tag > _PATIENT_ID:
            break
    raise RefusedPackageError("wrong_subject")


def _header(fd: int, instance: Instance) -> bytes:
    return _read(fd, instance.offset, instance.header)


def _read(fd: int, offset: int, length: int) -> bytes:
    data = os.pread(fd, length, offset)
    if len(data) != length:
        raise InvalidPackageError("truncated")
    return data
