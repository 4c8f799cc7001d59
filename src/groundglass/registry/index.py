"""The rows of an archived series. Every function works in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from groundglass.registry.inbox import Offer
from groundglass.registry.inspection import Inspected, RefusedPackageError
from groundglass.registry.labels import Labels
from groundglass.series.manifest import Manifest

_CURRENT = """
SELECT series.id, series.version, series.package_sha256, series.instances, series.bytes,
       study.centre, study.collection, study.patient_id, study.study_instance_uid
FROM series JOIN study ON study.id = series.study_id WHERE series_instance_uid = %s
"""
_STUDY = """
INSERT INTO study (study_instance_uid, collection, centre, patient_id, patient_sex, patient_age,
                   study_date, study_time, study_description)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (study_instance_uid) DO NOTHING
"""
_SERIES = """
INSERT INTO series (series_instance_uid, study_id, modality, series_number, series_description, body_part,
                    instances, bytes, version, package_sha256)
VALUES (%(uid)s, %(study)s, %(modality)s, %(number)s, %(description)s, %(body_part)s,
        %(instances)s, %(bytes)s, %(version)s, %(sha256)s)
ON CONFLICT (series_instance_uid) DO UPDATE
SET instances = EXCLUDED.instances, bytes = EXCLUDED.bytes, version = EXCLUDED.version,
    package_sha256 = EXCLUDED.package_sha256, archived_at = now()
RETURNING id
"""
_TOTALS = """
UPDATE study SET archived_at = now(), (modalities, series_count, instance_count, bytes) = (
    SELECT array_agg(DISTINCT modality ORDER BY modality), count(*), sum(instances), sum(bytes)
    FROM series WHERE study_id = study.id)
WHERE id = %s
"""


@dataclass(frozen=True, slots=True)
class Current:
    """The current version of a series that is archived already."""

    series_id: int
    version: int
    sha256: str
    instances: int
    bytes: int
    centre: str
    collection: str
    patient_id: str
    study_instance_uid: str


def current(conn: psycopg.Connection, series_instance_uid: str) -> Current | None:
    """Return the current version of a series."""
    row = conn.execute(_CURRENT, (series_instance_uid,)).fetchone()
    if row is None:
        return None
    series_id, version, sha256, instances, size, *owner = row
    return Current(series_id, version, bytes(sha256).hex(), instances, size, *owner)


def must_fit(found: Current, offer: Offer, inspected: Inspected) -> None:
    """Raise RefusedPackageError unless the offer may add to this series."""
    if (found.centre, found.collection) != (offer.centre, offer.collection):
        raise RefusedPackageError("foreign_series")
    subject = (inspected.labels.patient_id, inspected.manifest.study_instance_uid)
    if subject != (found.patient_id, found.study_instance_uid):
        raise RefusedPackageError("wrong_subject")


def write(conn: psycopg.Connection, *, offer: Offer, labels: Labels, manifest: Manifest, before: Current | None) -> int:
    """Write the version that follows `before` and return the series' id. Raises RefusedPackageError."""
    study_id = _study(conn, offer, labels, manifest)
    version = 1 if before is None else before.version + 1
    values = {
        "uid": manifest.series_instance_uid,
        "study": study_id,
        "modality": labels.modality,
        "number": labels.series_number,
        "description": labels.series_description,
        "body_part": labels.body_part,
        "instances": len(manifest.instances),
        "bytes": manifest.size,
        "version": version,
        "sha256": bytes.fromhex(manifest.sha256),
    }
    row = conn.execute(_SERIES, values).fetchone()
    assert row is not None
    conn.execute(
        "INSERT INTO package (sha256, series_id, version, previous, instances, bytes) VALUES (%s, %s, %s, %s, %s, %s)",
        (
            bytes.fromhex(manifest.sha256),
            row[0],
            version,
            None if before is None else bytes.fromhex(before.sha256),
            len(manifest.instances),
            manifest.size,
        ),
    )
    conn.execute(_TOTALS, (study_id,))
    return int(row[0])


def _study(conn: psycopg.Connection, offer: Offer, labels: Labels, manifest: Manifest) -> int:
    """Return the id of the series' study, locked until the end of the transaction; made if it is new."""
    given = (manifest.study_instance_uid, offer.collection, offer.centre, labels.patient_id, labels.patient_sex,
             labels.patient_age, labels.study_date, labels.study_time, labels.study_description)  # fmt: skip
    conn.execute(_STUDY, given)
    row = conn.execute(
        "SELECT id, centre, collection, patient_id FROM study WHERE study_instance_uid = %s FOR UPDATE",
        (manifest.study_instance_uid,),
    ).fetchone()
    assert row is not None
    study_id, centre, collection, patient_id = row
    if (centre, collection) != (offer.centre, offer.collection):
        raise RefusedPackageError("foreign_series")
    if patient_id != labels.patient_id:
        raise RefusedPackageError("wrong_subject")
    return int(study_id)
