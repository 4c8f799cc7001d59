"""Orthanc as a hospital's PACS that sends to us. Debian's package `orthanc`; tests skip loudly without it."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from support.stack import Doors, until

_PROGRAM = "/usr/sbin/Orthanc"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def orthanc(folder: Path, doors: Doors, *, aet: str = "ORTHANC") -> Iterator[httpx.Client]:
    """Run an Orthanc that knows our DICOM door as modality `ours`; yield a client of its REST API."""
    if not shutil.which(_PROGRAM):
        pytest.skip("NOT TESTED WITH ORTHANC: /usr/sbin/Orthanc is not installed (Debian package orthanc)")
    port = _free_port()
    settings = {
        "Name": aet,
        "DicomAet": aet,
        "HttpPort": port,
        "DicomPort": _free_port(),
        "DicomServerEnabled": False,
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
        "DicomModalities": {"ours": [doors.aet, doors.host, doors.port]},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([_PROGRAM, folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            until(lambda: _answers(client), 30, lambda: (folder / "orthanc.log").read_text(errors="replace")[-2000:])
            yield client
    finally:
        process.terminate()
        process.wait(30)


def send_all(client: httpx.Client, files: Iterable[bytes]) -> dict:
    """Give Orthanc the files and let it send them to us; return what it says of the transfer."""
    instances = []
    for content in files:
        answer = client.post("/instances", content=content)
        assert answer.status_code == 200, answer.text
        instances.append(answer.json()["ID"])
    answer = client.post("/modalities/ours/store", json=instances)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/system").status_code == 200
    return False
