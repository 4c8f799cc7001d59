"""Orthanc as the hospital's PACS, with a real chest CT."""

from __future__ import annotations

import io
from pathlib import Path

from pydicom import dcmread

from support.door import AET, content, open_door, records
from support.orthanc import orthanc, send_all
from support.shared import data
from support.stack import Doors


def test_a_series_arrives_with_its_pixels(tmp_path: Path) -> None:
    files = sorted(data("ct", "lung_pet_ct_dx", "siemens_A0002_B40f_30").glob("*.dcm"))
    spool = tmp_path / "spool"
    with open_door(spool) as door, orthanc(tmp_path, _doors(door.port), aet="PACS") as client:
        said = send_all(client, (path.read_bytes() for path in files))
        assert said["FailedInstancesCount"] == 0
        assert client.post("/modalities/ours/echo", json={}).status_code == 200
    kept = records(spool)
    assert {(record.sender, record.series_token) for record in kept} == {("PACS", kept[0].series_token)}
    received = {each.SOPInstanceUID: each for each in (dcmread(io.BytesIO(content(spool, r))) for r in kept)}
    assert len(received) == len(files) == len(kept)
    for path in files:
        original = dcmread(path)
        assert received[original.SOPInstanceUID].PixelData == original.PixelData


def _doors(port: int) -> Doors:
    return Doors(url="", gateway="", aet=AET, host="127.0.0.1", port=port)
