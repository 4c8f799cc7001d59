"""QIDO-RS through the whole HTTP stack, beside Orthanc with 1,000 studies.

`python -m bench.qido [--series 100000] [--studies 1000000] [--requests 300]`: synthetic rows, one web process, one
client on a kept connection; milliseconds at p50 and p95. First with --series (two a study), then with --studies.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench import cstore, registry_door
from groundglass.demo import headers, sender

DAYS = 364
CENTRES = 315
PREFIX = "2.25.1" + "0" * 20
_STUDIES = """
INSERT INTO study (study_instance_uid, collection, centre, patient_id, patient_sex, patient_age, study_date, study_time,
                   study_description, modalities, series_count, instance_count, bytes)
SELECT %(prefix)s || lpad(n::text, 9, '0'), 'fidac', 'C' || lpad((n %% %(centres)s)::text, 3, '0'),
       upper(substr(md5(n::text), 1, 16)), (ARRAY['F', 'M'])[1 + n %% 2], lpad((n %% 90)::text, 3, '0') || 'Y',
       date '2020-01-06' + (n::bigint * 7919 %% %(days)s)::int, lpad((n %% 240000)::text, 6, '0'),
       (ARRAY['CT chest', 'CT chest with contrast', 'CT chest low dose'])[1 + n %% 3], '{CT}',
       %(each)s, 400 * %(each)s, 210000000
FROM generate_series(%(first)s::int, %(last)s) n
"""
_SERIES = """
INSERT INTO series (series_instance_uid, study_id, modality, series_number, series_description, body_part, instances,
                    bytes, version, package_sha256)
SELECT study_instance_uid || '.' || k, id, 'CT', k, 'Lung axial', 'CHEST', 400, 105000000, 1,
       sha256((study_instance_uid || k)::bytea)
FROM study CROSS JOIN generate_series(1, %(each)s) k WHERE id > %(above)s
"""


@dataclass(frozen=True, slots=True)
class Client:
    """One kept connection."""

    connection: http.client.HTTPConnection
    headers: dict[str, str]

    def get(self, path: str) -> tuple[float, int]:
        """Return the milliseconds of a GET and how many results it gave."""
        begin = time.perf_counter()
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        took = 1000 * (time.perf_counter() - begin)
        if answer.status not in (200, 204):
            raise SystemExit(f"{answer.status} for {path}: {body[:300]!r}")
        return took, len(json.loads(body or b"[]"))


def fill(owner: str, studies: int, each: int) -> None:
    """Add studies until there are so many."""
    with psycopg.connect(owner, autocommit=True) as conn:
        conn.execute("SET synchronous_commit = off")
        (have, above) = conn.execute("SELECT count(*), coalesce(max(id), 0) FROM study").fetchone() or (0, 0)
        values = {"prefix": PREFIX, "centres": CENTRES, "days": DAYS, "each": each, "first": have, "last": studies - 1}
        conn.execute(_STUDIES, values)
        conn.execute(_SERIES, {"each": each, "above": above})
        conn.execute("VACUUM ANALYZE study")
        conn.execute("VACUUM ANALYZE series")


def uid(studies: int) -> str:
    """Return a study that is there."""
    return f"{PREFIX}{random.randrange(studies):09}"


def week() -> str:
    """Return a week as a date range."""
    first = random.randrange(DAYS - 7)
    days = [time.strftime("%Y%m%d", time.gmtime(1578268800 + 86400 * day)) for day in (first, first + 6)]
    return "-".join(days)


def patient(length: int) -> str:
    """Return the beginning of a pseudonym."""
    return f"{random.getrandbits(64):016X}"[:length]


def questions(studies: int) -> dict[str, Callable[[], str]]:
    """Return the searches by name."""
    root = "/dicom-web/studies"
    return {
        "study by UID": lambda: f"{root}?StudyInstanceUID={uid(studies)}",
        "100 studies of a week": lambda: f"{root}?StudyDate={week()}&limit=100",
        "the same, page 10": lambda: f"{root}?StudyDate={week()}&limit=100&offset=900",
        "study by PatientID": lambda: f"{root}?PatientID={patient(16)}",
        "PatientID=ABCDE*": lambda: f"{root}?PatientID={patient(5)}*&limit=100",
        "PatientID=*ABCDE*": lambda: f"{root}?PatientID=*{patient(5)}*&limit=100",
        "description, week, CT": lambda: (
            f"{root}?StudyDescription=*contrast*&ModalitiesInStudy=CT&StudyDate={week()}&limit=100"
        ),
        "viewer's first list": lambda: f"{root}?limit=101&offset=0&fuzzymatching=true&includefield=00081030,00080060",
        "series of a study": lambda: f"{root}/{uid(studies)}/series",
    }


def measure(client: Client, question: Callable[[], str], requests: int) -> list[float]:
    """Return the milliseconds of each request, in order of size."""
    for _ in range(20):
        client.get(question())
    return sorted(client.get(question())[0] for _ in range(requests))


def show(who: str, name: str, took: list[float]) -> None:
    """Print p50 and p95."""
    p50, p95 = took[len(took) // 2], took[int(len(took) * 0.95)]
    print(f"  {who:12s} {name:24s} p50 {p50:7.2f} ms   p95 {p95:7.2f} ms", flush=True)


def ours(place: registry_door.Archive, studies: int, requests: int) -> None:
    """Print what each search takes, for a curator and the week's list for a contributor."""
    with place.door() as port:
        for role, centre in (("curator", None), ("contributor", "C007")):
            token = place.token(role, centre)  # type: ignore[arg-type]
            client = Client(http.client.HTTPConnection("127.0.0.1", port), {"Authorization": f"Bearer {token}"})
            for name, question in questions(studies).items():
                if role == "curator" or name in ("100 studies of a week", "viewer's first list"):
                    show(role, name, measure(client, question, requests))
            client.connection.close()


def orthanc(studies: int, requests: int) -> None:
    """Print what Orthanc's own search takes (its REST API: Debian's package of DICOMweb for it is another one)."""
    exams = [headers.exam(n, slices=1, rows=8, columns=8) for n in range(studies)]
    with tempfile.TemporaryDirectory(prefix="gg-bench-") as folder, _orthanc(Path(folder)) as port:
        client = http.client.HTTPConnection("127.0.0.1", port)
        for exam in exams:
            made = headers.ct(exam, 0, bytes(128), syntax=sender.EXPLICIT_LITTLE_ENDIAN)
            _post(client, "/instances", made.to_bytes())
        took = [_find(client, {"StudyInstanceUID": random.choice(exams).study_uid}) for _ in range(requests)]
        show("orthanc", "study by UID", sorted(took))
        took = [_find(client, {"StudyDate": "20200302-20200524"}) for _ in range(requests)]
        show("orthanc", "100 studies of a time", sorted(took))


@contextmanager
def _orthanc(folder: Path) -> Iterator[int]:
    port = cstore.free_port()
    options = {"StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": port}
    options |= {
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(options))
    with cstore.running([str(cstore.ORTHANC), str(folder / "orthanc.json")], port):
        yield port


def _find(client: http.client.HTTPConnection, query: dict[str, str]) -> float:
    body = json.dumps({"Level": "Study", "Query": query, "Limit": 100, "Expand": True}).encode()
    begin = time.perf_counter()
    if not _post(client, "/tools/find", body):
        raise SystemExit("Orthanc found nothing")
    return 1000 * (time.perf_counter() - begin)


def _post(client: http.client.HTTPConnection, path: str, body: bytes) -> Any:
    client.request("POST", path, body)
    return json.loads(client.getresponse().read())


def main() -> None:
    """Print the milliseconds of each search, ours and Orthanc's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--studies", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=300)
    given = parser.parse_args()
    random.seed(2020)
    with registry_door.archive() as place:
        for studies, each in ((given.series // 2, 2), (given.studies, 1)):
            fill(place.owner, studies, each)
            print(f"{studies} studies", flush=True)
            ours(place, studies, given.requests)
    if not cstore.ORTHANC.exists():
        print(f"orthanc: {cstore.ORTHANC} is not installed, left out", file=sys.stderr)
        return
    print("1000 studies in Orthanc")
    orthanc(1000, given.requests)


if __name__ == "__main__":
    main()
