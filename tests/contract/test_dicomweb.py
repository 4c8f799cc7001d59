"""DICOMweb and the package download over real HTTP and PostgreSQL: what each question gets (PS3.18 10.4, 10.6)."""

from __future__ import annotations

import gc
import gzip
import hashlib
import http.client
import io
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pydicom
import pytest

from groundglass.core import accounts, audit
from groundglass.core.postgres import Postgres
from support.archive import parts, value
from support.images import FRAGMENTS, MULTIPART_DICOM, MULTIPART_FRAMES, Held, World, world

JSON = "application/dicom+json"
STUDIES = "/dicom-web/studies"


@pytest.fixture(scope="module")
def there(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(postgres, tmp_path_factory.mktemp("images")) as served:
        yield served


@pytest.fixture(scope="module")
def curator(there: World) -> Iterator[httpx.Client]:
    with there.client("curator") as client:
        yield client


def uids(answer: httpx.Response, tag: str) -> list[str]:
    """Return one UID of each result. 204 is none."""
    assert answer.status_code in (200, 204), answer.text
    if answer.status_code == 204:
        return []
    assert answer.headers["content-type"] == JSON
    return [value(one, tag) for one in answer.json()]


# --- QIDO-RS

ALL = ["2.25.1002", "2.25.1001", "2.25.1003"]  # newest first, then in the order they came
MATCHING = {
    "": ALL,
    "StudyInstanceUID=2.25.1001": ["2.25.1001"],
    "0020000D=2.25.1001": ["2.25.1001"],
    "0020000d=2.25.1001": ["2.25.1001"],
    "StudyInstanceUID=2.25.1001,2.25.1003": ["2.25.1001", "2.25.1003"],
    "StudyInstanceUID=2.25.1001%5C2.25.1003": ["2.25.1001", "2.25.1003"],
    "StudyInstanceUID=2.25.1001&StudyInstanceUID=2.25.1003": [],
    "StudyInstanceUID=2.25.9": [],
    "StudyInstanceUID=": ALL,
    "StudyInstanceUID=*": ALL,
    "StudyDate=20200401": ["2.25.1002"],
    "StudyDate=20200301-20200331": ["2.25.1001", "2.25.1003"],
    "StudyDate=20200317-": ["2.25.1002"],
    "StudyDate=-20200316": ["2.25.1001", "2.25.1003"],
    "StudyDate=20190101-20191231": [],
    "StudyTime=101500": ALL,
    "StudyTime=1000-1100": ALL,
    "StudyTime=11-": [],
    "PatientID=GG-000001": ["2.25.1002", "2.25.1001"],
    "PatientID=GG-00000*": ALL,
    "PatientID=*9": ["2.25.1003"],
    "PatientID=GG-00000?": ALL,
    "PatientID=GG-0000?": [],
    "PatientID=%25": [],
    "PatientID=GG-00000_": [],
    "PatientSex=F": ALL,
    "PatientSex=M": [],
    "ModalitiesInStudy=CT": ALL,
    "ModalitiesInStudy=MR": [],
    "ModalitiesInStudy=MR%5CCT": ALL,
    "StudyDescription=CT%20chest": ["2.25.1001", "2.25.1003"],
    "StudyDescription=*LOW*": ["2.25.1002"],
    "AccessionNumber=A1": [],
    "StudyID=*": ALL,
    "PatientName=*": ALL,
    "PatientName=": ALL,
    "limit=1": ["2.25.1002"],
    "limit=1&offset=1": ["2.25.1001"],
    "limit=5&offset=2": ["2.25.1003"],
    "offset=3": [],
    "limit=0": [],
    "limit=101&offset=0&fuzzymatching=true&includefield=00081030,00080060": ALL,
}


@pytest.mark.parametrize("query", MATCHING)
def test_studies_match(curator: httpx.Client, query: str):
    assert uids(curator.get(f"{STUDIES}?{query}"), "0020000D") == MATCHING[query]


SERIES_MATCHING = {
    "/series?": ["2.25.2003", "2.25.2001", "2.25.2002", "2.25.2004"],
    "/studies/2.25.1001/series?": ["2.25.2001", "2.25.2002"],
    "/studies/2.25.1001/series?includefield=00080021,00080031,0008103E,00200011": ["2.25.2001", "2.25.2002"],
    "/studies/2.25.1001/series?SeriesInstanceUID=2.25.2002": ["2.25.2002"],
    "/studies/2.25.1001/series?SeriesInstanceUID=2.25.2004": [],
    "/studies/2.25.1001/series?Modality=CT&SeriesNumber=4": ["2.25.2002"],
    "/studies/2.25.1001/series?SeriesDescription=lun*": ["2.25.2002"],
    "/studies/2.25.1001/series?limit=1&offset=1": ["2.25.2002"],
    "/studies/2.25.9/series?": [],
    "/series?BodyPartExamined=CHEST&StudyDate=20200401": ["2.25.2003"],
    "/series?PatientID=GG-000009": ["2.25.2004"],
    "/series?Modality=MR": [],
}


@pytest.mark.parametrize("query", SERIES_MATCHING)
def test_series_match(curator: httpx.Client, query: str):
    assert uids(curator.get(f"/dicom-web{query}"), "0020000E") == SERIES_MATCHING[query]


NATIVE = [f"2.25.2001.{n}" for n in (1, 2, 3)]
INSTANCES_MATCHING = {
    "/studies/2.25.1001/series/2.25.2001/instances?": NATIVE,
    "/studies/2.25.1001/instances?": [*NATIVE, "2.25.2002.1"],
    "/studies/2.25.1001/instances?limit=2&offset=2": [NATIVE[2], "2.25.2002.1"],
    "/studies/2.25.1001/instances?offset=3": ["2.25.2002.1"],
    "/studies/2.25.1001/instances?offset=4": [],
    "/studies/2.25.1001/instances?InstanceNumber=1": [NATIVE[0], "2.25.2002.1"],
    "/studies/2.25.1001/instances?InstanceNumber=1&offset=1": ["2.25.2002.1"],
    "/studies/2.25.1001/instances?SOPInstanceUID=2.25.2001.2,2.25.2001.3": NATIVE[1:],
    "/studies/2.25.1001/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.2&limit=1": NATIVE[:1],
    "/studies/2.25.1001/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.4": [],
    "/studies/2.25.1001/series/2.25.2004/instances?": [],
    "/instances?StudyInstanceUID=2.25.1003": ["2.25.2004.1", "2.25.2004.2"],
    "/instances?SeriesInstanceUID=2.25.2001&00080018=2.25.2001.3": NATIVE[2:],
}


@pytest.mark.parametrize("query", INSTANCES_MATCHING)
def test_instances_match(curator: httpx.Client, query: str):
    assert uids(curator.get(f"/dicom-web{query}"), "00080018") == INSTANCES_MATCHING[query]


REFUSED = [
    "/studies?Rows=512",
    "/studies?00280010=512",
    "/studies?nonsense=1",
    "/studies?SeriesInstanceUID=2.25.2001",
    "/studies?Modality=CT",
    "/studies?StudyInstanceUID=x",
    "/studies?StudyInstanceUID=2.25.1001,",
    "/studies?StudyDate=2020-03-16",
    "/studies?StudyDate=20200231",
    "/studies?StudyDate=202003%201",
    "/studies?StudyDate=-",
    "/studies?StudyTime=noon",
    "/studies?PatientID=%00",
    "/studies?limit=-1",
    "/studies?limit=ten",
    "/studies?offset=%D9%A1",
    "/studies?includefield=%3Cscript%3E",
    "/series?SOPInstanceUID=2.25.1",
    "/instances",
    "/instances?PatientID=GG-000001",
    "/instances?StudyInstanceUID=",
    "/instances?InstanceNumber=1&Modality=CT",
    "/studies/2.25.1001/instances?InstanceNumber=x",
    # nobody is found by name here
    "/studies?PatientName=DOE*",
    "/studies?00100010=DOE",
    "/studies?PatientBirthDate=19600101",
    "/studies?ReferringPhysicianName=DOE",
]


@pytest.mark.parametrize("query", REFUSED)
def test_what_cannot_be_searched_is_refused(curator: httpx.Client, query: str):
    answer = curator.get(f"/dicom-web{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/usage"
    assert "DOE" not in answer.text


def test_a_study_row_has_what_viewers_read(curator: httpx.Client):
    (row,) = curator.get(f"{STUDIES}?StudyInstanceUID=2.25.1001").json()
    assert list(row) == sorted(row)
    assert {tag: value(row, tag) for tag in ("00080020", "00080030", "00081030", "00100020")} == {
        "00080020": "20200316",
        "00080030": "101500",
        "00081030": "CT chest",
        "00100020": "GG-000001",
    }
    assert row["00080061"] == {"vr": "CS", "Value": ["CT"]}
    assert (value(row, "00201206"), value(row, "00201208")) == (2, 4)
    assert row["00080050"] == {"vr": "SH"}
    assert row["00100010"]["Value"] == [{"Alphabetic": "GG-000001"}]
    assert value(row, "00081190") == f"{curator.base_url}/dicom-web/studies/2.25.1001".replace("//dicom", "/dicom")
    (series, _) = curator.get(f"{STUDIES}/2.25.1001/series").json()
    assert value(series, "00201209") == 3
    assert value(series, "0020000D") == "2.25.1001"


def test_fields_are_included_by_list_repetition_and_all(curator: httpx.Client):
    path = "/dicom-web/studies/2.25.1001/series/2.25.2001/instances"
    for asked in ("includefield=SliceThickness,00200032", "includefield=00180050&includefield=ImagePositionPatient"):
        row = curator.get(f"{path}?{asked}").json()[1]
        assert value(row, "00180050") == 1.25
        assert row["00200032"]["Value"] == [-120.5, -110, -297.5]
        assert "00080070" not in row
    for row in curator.get(f"{path}?includefield=all").json():
        assert value(row, "00080070") == "EXAMPLE"
        assert "7FE00010" not in row
    assert "00180050" not in curator.get(path).json()[0]


def test_a_limited_answer_says_so(curator: httpx.Client):
    assert "additional results" in curator.get(f"{STUDIES}?limit=2").headers["warning"]
    assert curator.get(f"{STUDIES}?limit=2").headers["warning"].startswith("299 ")
    assert "warning" not in curator.get(f"{STUDIES}?limit=3").headers
    assert "warning" not in curator.get(f"{STUDIES}/2.25.1001/instances?limit=4").headers
    assert "additional" in curator.get(f"{STUDIES}/2.25.1001/instances?limit=3").headers["warning"]
    assert "fuzzymatching" in curator.get(f"{STUDIES}?fuzzymatching=true").headers["warning"]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/dicom+json", 200),
        ("application/dicom+json, application/json", 200),
        ("application/json", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200),
        ("", 200),
        ("text/html", 406),
        ("application/dicom+xml", 406),
        ('multipart/related; type="application/dicom+xml"', 406),
        ("application/dicom+json;q=0", 406),
    ],
)
@pytest.mark.parametrize("path", ["/studies", "/studies/2.25.1001/metadata"])
def test_json_is_negotiated(curator: httpx.Client, path: str, accept: str, status: int):
    answer = curator.get(f"/dicom-web{path}", headers={"accept": accept} if accept else {})
    assert answer.status_code == status, answer.text
    assert curator.get(f"/dicom-web{path}", params={"accept": accept}).status_code == status


def test_a_client_that_pages_to_an_empty_answer_ends(curator: httpx.Client):
    found: list[str] = []
    while more := uids(curator.get(f"{STUDIES}?limit=1&offset={len(found)}"), "0020000D"):
        found += more
    assert found == ALL


# --- WADO-RS


def retrieved(client: httpx.Client, path: str, accept: str = MULTIPART_DICOM) -> dict[str, bytes]:
    """Return the objects of a multipart answer by UID."""
    answer = client.get(path, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == int(answer.headers["content-length"])
    found = {str(pydicom.dcmread(io.BytesIO(one)).SOPInstanceUID): one for one in parts(answer)}
    assert len(found) == len(parts(answer))
    return found


def test_study_series_and_instance_come_back_as_they_were_sent(curator: httpx.Client, there: World):
    native, packed = there.native, there.encapsulated
    assert retrieved(curator, f"{STUDIES}/{native.study}") == {**native.objects, **packed.objects}
    assert retrieved(curator, native.path) == native.objects
    assert retrieved(curator, there.large.path) == there.large.objects
    assert retrieved(curator, f"{native.path}/instances/{native.first}") == {native.first: native.objects[native.first]}


def test_the_parts_of_an_answer_say_what_they_are(curator: httpx.Client, there: World):
    answer = curator.get(there.encapsulated.path, headers={"accept": MULTIPART_DICOM})
    kind, boundary = answer.headers["content-type"].split("; boundary=")
    assert kind == 'multipart/related; type="application/dicom"'
    assert f"--{boundary}\r\n".encode() in answer.content
    assert b"Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80\r\n" in answer.content
    assert f"Content-Location: {there.encapsulated.path}/instances/2.25.2002.1\r\n".encode() in answer.content


FILES = {
    MULTIPART_DICOM: 200,
    "multipart/related; type=application/dicom; transfer-syntax=*": 200,
    'multipart/related; type="application/dicom"': 200,
    'multipart/related;type="application/dicom";transfer-syntax=1.2.840.10008.1.2.1': 200,
    'multipart/related; type="application/dicom"; transfer-syntax="1.2.840.10008.1.2.1"': 200,
    'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50': 406,
    'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50, '
    'multipart/related; type="application/dicom"; transfer-syntax=*; q=0.1': 200,
    'multipart/related; type="image/jpeg"': 406,
    "*/*": 200,
    "image/png": 406,
    "application/json": 406,
    "application/zip": 406,
    ";;;,,,": 200,
}


@pytest.mark.parametrize("accept", FILES)
def test_files_are_negotiated(curator: httpx.Client, there: World, accept: str):
    answer = curator.get(there.native.path, headers={"accept": accept})
    assert answer.status_code == FILES[accept], answer.text


def test_one_instance_by_itself(curator: httpx.Client, there: World):
    path = f"{there.native.path}/instances/{there.native.first}"
    answer = curator.get(path, headers={"accept": "application/dicom; transfer-syntax=*"})
    assert answer.content == there.native.objects[there.native.first]
    assert answer.headers["content-type"].startswith("application/dicom")
    assert answer.headers["content-disposition"] == f'attachment; filename="{there.native.first}.dcm"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def native_frame(there: World) -> bytes:
    return bytes(pydicom.dcmread(io.BytesIO(there.native.objects[there.native.first])).PixelData)


NATIVE_FRAMES = {  # as OHIF, dicomweb-client and curl ask
    MULTIPART_FRAMES: 200,
    'multipart/related; type="application/octet-stream"': 200,
    'multipart/related; type="*/*"': 200,
    'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1': 200,
    "*/*": 200,
    'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50': 406,
    'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.4.50': 406,
    "image/png": 406,
}


@pytest.mark.parametrize("accept", NATIVE_FRAMES)
def test_native_frames(curator: httpx.Client, there: World, accept: str):
    path = f"{there.native.path}/instances/{there.native.first}/frames/1"
    answer = curator.get(path, headers={"accept": accept})
    assert answer.status_code == NATIVE_FRAMES[accept], answer.text
    if answer.status_code == 200:
        assert parts(answer) == [native_frame(there)]
        assert b"Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1\r\n" in answer.content


def test_one_frame_by_itself(curator: httpx.Client, there: World):
    path = f"{there.native.path}/instances/{there.native.first}/frames/1"
    answer = curator.get(path, headers={"accept": "application/octet-stream"})
    assert answer.content == native_frame(there)


ENCAPSULATED_FRAMES = {
    MULTIPART_FRAMES: "application/octet-stream",
    'multipart/related; type="*/*"': "image/jls",
    'multipart/related; type="image/jls"': "image/jls",
    'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80': "image/jls",
    'multipart/related; type="image/*"': "image/jls",
    "*/*": "image/jls",
    # compressed bytes are not given for pixels
    'multipart/related; type="application/octet-stream"': None,
    'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1': None,
    'multipart/related; type="image/jp2"': None,
}


@pytest.mark.parametrize("accept", ENCAPSULATED_FRAMES)
def test_encapsulated_frames(curator: httpx.Client, there: World, accept: str):
    path = f"{there.encapsulated.path}/instances/2.25.2002.1/frames"
    kind = ENCAPSULATED_FRAMES[accept]
    answer = curator.get(f"{path}/1,2", headers={"accept": accept})
    assert answer.status_code == (200 if kind else 406), answer.text
    if kind:
        assert parts(answer) == [FRAGMENTS[0], FRAGMENTS[1] + FRAGMENTS[2]]
        assert f"Content-Type: {kind}; transfer-syntax=1.2.840.10008.1.2.4.80\r\n".encode() in answer.content
        answer = curator.get(f"{path}/2,1,2", headers={"accept": accept})
        assert [len(one) for one in parts(answer)] == [14, 4, 14]


@pytest.mark.parametrize(
    ("frames", "status"),
    [("0", 400), ("-1", 400), ("1,", 400), ("x", 400), ("1;2", 400), ("9999999", 400), ("3", 404), ("1,3", 404)],
)
def test_frames_that_are_not_there(curator: httpx.Client, there: World, frames: str, status: int):
    path = f"{there.encapsulated.path}/instances/2.25.2002.1/frames/{frames}"
    assert curator.get(path, headers={"accept": "*/*"}).status_code == status


METADATA = ("{study}/metadata", "{study}/series/{series}/metadata", "{study}/series/{series}/instances/{sop}/metadata")


def metadata_path(pattern: str, held: Held) -> str:
    return f"{STUDIES}/" + pattern.format(study=held.study, series=held.uid, sop=held.first)


@pytest.mark.parametrize("pattern", METADATA)
def test_metadata_are_the_headers(curator: httpx.Client, there: World, pattern: str):
    held = there.native
    answer = curator.get(metadata_path(pattern, held), headers={"accept": JSON})
    assert answer.headers["content-type"] == JSON
    headers = {value(one, "00080018"): one for one in answer.json()}
    objects = held.objects | (there.encapsulated.objects if "series" not in pattern else {})
    assert set(headers) == ({held.first} if "instances" in pattern else set(objects))
    for uid, header in headers.items():
        expected = pydicom.dcmread(io.BytesIO(objects[uid]), stop_before_pixels=True)
        assert pydicom.Dataset.from_json(header) == expected


@pytest.mark.parametrize("pattern", METADATA)
def test_metadata_are_compressed_and_kept(curator: httpx.Client, there: World, pattern: str):
    path = metadata_path(pattern, there.native)
    plain = curator.get(path, headers={"accept": JSON, "accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = curator.get(path, headers={"accept": JSON, "accept-encoding": "gzip, deflate, br"})
    assert packed.json() == plain.json()
    if "instances" not in pattern:
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["etag"] != plain.headers["etag"]
    for answer in (plain, packed):
        assert "accept-encoding" in answer.headers["vary"].lower()
        assert answer.headers["cache-control"] == "private, no-cache"
        again = curator.get(
            path, headers={"if-none-match": answer.headers["etag"], **dict(answer.request.headers.items())}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        other = curator.get(path, headers={"if-none-match": '"x"', "accept": JSON})
        assert other.status_code == 200


def test_no_refusal_of_gzip_is_overheard(curator: httpx.Client, there: World):
    path = f"{there.native.path}/metadata"
    for refusing in ("gzip;q=0", "*;q=0", "gzip;q=0.000, identity", "deflate"):
        assert "content-encoding" not in curator.get(path, headers={"accept-encoding": refusing}).headers, refusing
    body = raw(there, path, {"Accept-Encoding": "gzip"})[1]
    assert gzip.decompress(body).startswith(b"[{")


def test_files_and_frames_are_kept_by_their_tag(curator: httpx.Client, there: World):
    for path, accept in (
        (there.native.path, MULTIPART_DICOM),
        (f"{there.native.path}/instances/{there.native.first}/frames/1", MULTIPART_FRAMES),
    ):
        first = curator.get(path, headers={"accept": accept})
        assert curator.get(path, headers={"accept": accept}).content == first.content
        again = curator.get(path, headers={"accept": accept, "if-none-match": f'"other", {first.headers["etag"]}'})
        assert again.status_code == 304
        assert "accept" in first.headers["vary"].lower()


def test_head_says_what_get_would(curator: httpx.Client, there: World):
    instance = f"{there.native.path}/instances/{there.native.first}"
    for path in (
        f"{STUDIES}/{there.native.study}",
        there.native.path,
        there.large.path,
        instance,
        f"{instance}/frames/1",
        f"{there.native.path}/metadata",
        f"/api/v1/series/{there.native.uid}/package",
    ):
        get, head = curator.get(path), curator.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        for name in ("content-length", "content-type", "etag"):
            assert head.headers[name] == get.headers[name], path


def test_there_is_no_bulk_data(curator: httpx.Client, there: World):
    assert curator.get(f"{there.native.path}/instances/{there.native.first}/bulkdata/7FE00010").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_is_written_by_this_door(curator: httpx.Client, there: World, method: str):
    for path in (STUDIES, f"{STUDIES}/{there.native.study}", there.native.path):
        assert curator.request(method, path).status_code == 405


def test_what_is_read_stands_in_the_audit_log_once(there: World):
    with there.client("contributor") as client:
        for _ in range(2):
            client.get(there.large.path, headers={"accept": MULTIPART_DICOM})
            client.get(f"{STUDIES}?StudyInstanceUID={there.other.study}")
            assert client.get(there.other.path).status_code == 403
    conn = there.registry.conn
    events = conn.execute("SELECT action, target FROM event WHERE actor = 'token contributor north'").fetchall()
    assert audit.verify(conn) is None
    conn.commit()
    assert events.count(("series.read", f"series {there.large.uid}")) == 1
    assert events.count(("series.refused", "series")) == 1
    assert not any(there.other.uid in target for _, target in events)


def test_a_session_of_a_browser_reads_too(there: World):
    secret = accounts.session_for_token(there.registry.conn, there.token("contributor"))
    there.registry.conn.commit()
    with there.client(None, cookie=f"groundglass={secret}") as client:
        assert retrieved(client, there.native.path) == there.native.objects
        assert client.get(there.other.path).status_code == 403


# --- the package


def package_path(held: Held) -> str:
    return f"/api/v1/series/{held.uid}/package"


def test_a_package_is_its_bytes_and_its_tag_their_hash(curator: httpx.Client, there: World):
    for held in (there.native, there.large):
        answer = curator.get(package_path(held))
        assert answer.content == held.package
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["accept-ranges"] == "bytes"
        again = curator.get(package_path(held), headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-9", 0, 9), ("10-", 10, None), ("-7", -7, None), ("5-5", 5, 5), ("0-999999999", 0, None)],
)
def test_a_range_of_a_package(curator: httpx.Client, there: World, asked: str, first: int, last: int | None):
    whole = there.native.package
    answer = curator.get(package_path(there.native), headers={"range": f"bytes={asked}"})
    assert answer.status_code == 206
    expected = whole[first:] if last is None else whole[first : last + 1]
    assert answer.content == expected
    begin = first % len(whole)
    assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(whole)}"


def test_a_range_across_many_blocks(curator: httpx.Client, there: World):
    whole = there.large.package
    answer = curator.get(package_path(there.large), headers={"range": f"bytes=1000-{len(whole) - 1001}"})
    assert answer.content == whole[1000:-1000]


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=-0", "bytes=99999999999-999999999999"])
def test_a_range_beyond_the_end(curator: httpx.Client, there: World, asked: str):
    answer = curator.get(package_path(there.native), headers={"range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(there.native.package)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=9-2", "lines=1-2", "bytes=-", "bytes=a-b", "bytes 0-1", ""])
def test_a_range_that_is_not_one_is_answered_with_all(curator: httpx.Client, there: World, asked: str):
    answer = curator.get(package_path(there.native), headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, there.native.package)


def test_a_range_of_another_version_is_answered_with_all(curator: httpx.Client, there: World):
    for condition, status in (
        (f'"{there.native.sha256}"', 206),
        ('"other"', 200),
        ("Tue, 24 Mar 2020 00:00:00 GMT", 200),
    ):
        answer = curator.get(package_path(there.native), headers={"range": "bytes=0-9", "if-range": condition})
        assert answer.status_code == status


def test_ten_thousand_ranges_cost_nothing(curator: httpx.Client, there: World):  # security.md A19
    asked = {"range": "bytes=" + ",".join(f"{n}-" for n in range(10_000))}
    took = []
    for path in (package_path(there.native), f"{there.native.path}/instances/{there.native.first}", "/static/x"):
        curator.get(path)
        for _ in range(3):
            begin = time.process_time()  # of client and server together: both run here
            assert curator.get(path, headers=asked).status_code in (200, 404)
            took.append(time.process_time() - begin)
        assert min(took) < 0.05, path
        took.clear()


def raw(there: World, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, bytes]:
    """Ask without a client that tidies the path."""
    connection = http.client.HTTPConnection(urlsplit(there.url).netloc, timeout=30)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, text in ({"Authorization": f"Bearer {there.token('curator')}"} | (headers or {})).items():
        connection.putheader(name, text)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_a_reader_who_leaves_in_the_middle_holds_nothing(there: World):
    server = urlsplit(there.url)
    line = f"GET {there.large.path} HTTP/1.1\r\nHost: {server.netloc}\r\nAuthorization: Bearer {there.token('curator')}"
    for _ in range(5):
        with socket.create_connection((server.hostname, server.port)) as connection:
            connection.sendall(f"{line}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    folder = str(there.registry.settings.data)
    deadline = time.monotonic() + 10
    while any(one.path.startswith(folder) for one in psutil.Process().open_files()):
        assert time.monotonic() < deadline, "a package is still open"
        gc.collect()


def test_curl_reads_as_the_reference_says(there: World, tmp_path: Path):
    if not shutil.which("curl"):
        pytest.skip("NOT TESTED WITH CURL: it is not installed")
    page = (Path(__file__).parents[2] / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
    held = there.native
    script = page.partition("## By hand\n\n```\n")[2].partition("```")[0]
    script = script.replace("$(groundglass admin token --role curator)", there.token("curator"))
    script = script.replace("http://127.0.0.1:8080", there.url).replace("/INSTANCE", f"/{held.first}")
    script = script.replace("/STUDY", f"/{held.study}").replace("/SERIES", f"/{held.uid}")
    done = subprocess.run(["sh", "-e"], input=script, cwd=tmp_path, capture_output=True, text=True, check=True)
    found, headers = done.stdout.replace("][", "]\n[").splitlines()
    assert [value(one, "0020000D") for one in json.loads(found)] == ["2.25.1001", "2.25.1003"]
    assert len(json.loads(headers)) == len(held.objects)
    assert (tmp_path / "one.dcm").read_bytes() == held.objects[held.first]
    assert (tmp_path / "series.zip").read_bytes() == held.package
