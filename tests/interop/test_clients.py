"""Programs that others wrote, at both ends: Orthanc and DCMTK send, dicomweb-client reads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dicomweb_client.api import DICOMwebClient

from groundglass.demo import phantom
from support.archive import Archive
from support.orthanc import orthanc, send_all
from support.sending import send, storescu
from support.shared import data
from support.stack import Stack

SMALL = {"slices": 5, "rows": 64, "columns": 64}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.mark.parametrize("maker", ["ge", "philips"])
def test_orthanc_sends_a_series(stack: Stack, tmp_path: Path, maker: str) -> None:
    files = list(phantom.objects(300, **SMALL, maker=maker))
    calling = f"ORTHANC_{maker}".upper()
    with orthanc(tmp_path, stack.doors, aet=calling) as client:
        said = send_all(client, (file.to_bytes() for file in files))
    assert said["InstancesCount"] == 5
    assert said["FailedInstancesCount"] == 0
    assert stack.wait_quiet(5, sender=calling)["archived"] == 5


def test_orthanc_sends_a_real_chest(stack: Stack, tmp_path: Path) -> None:
    paths = sorted(data("ct", "lung_pet_ct_dx", "siemens_A0002_B40f_30").glob("*.dcm"))
    with orthanc(tmp_path, stack.doors, aet="ORTHANC_REAL") as client:
        said = send_all(client, (path.read_bytes() for path in paths))
    assert said["FailedInstancesCount"] == 0
    assert stack.wait_quiet(len(paths), sender="ORTHANC_REAL")["archived"] == len(paths)


def test_dcmtk_echo_and_store(stack: Stack, tmp_path: Path) -> None:
    if not shutil.which("/usr/bin/echoscu"):
        pytest.skip("NOT TESTED WITH DCMTK: /usr/bin/echoscu is not installed (Debian package dcmtk)")
    where = [stack.doors.host, str(stack.doors.port)]
    echo = subprocess.run(["/usr/bin/echoscu", "-aec", stack.doors.aet, *where], timeout=30, check=False)
    assert echo.returncode == 0
    paths = []
    for index, content in enumerate(phantom.series(301, 5, 64, 64, "philips")):
        paths.append(tmp_path / f"{index}.dcm")
        paths[-1].write_bytes(content)
    assert storescu(stack, paths, options=("-xi",), calling="DCMTK_B") == 0
    assert stack.wait_quiet(5, sender="DCMTK_B")["archived"] == 5


def test_dicomweb_client_searches_and_retrieves(stack: Stack) -> None:
    files = list(phantom.objects(302, **SMALL, maker="siemens"))
    with stack.client("curator") as client:
        before = Archive(client).series()
    send(stack, files, calling="WEB_CLIENT")
    stack.wait_quiet(5, sender="WEB_CLIENT")
    token = stack.token("curator")
    web = DICOMwebClient(f"{stack.doors.url}/dicom-web", headers={"Authorization": f"Bearer {token}"})
    with stack.client("curator", token=token) as client:
        (series,) = Archive(client).series() - before
    (study,) = web.search_for_studies(search_filters={"StudyInstanceUID": series.study_uid})
    assert study["00201208"]["Value"] == [5]
    (found,) = web.search_for_series(series.study_uid, search_filters={"Modality": "CT"})
    assert found["0020000E"]["Value"] == [series.uid]
    instances = web.search_for_instances(series.study_uid, series.uid)
    assert len(instances) == 5
    data_sets = web.retrieve_series(series.study_uid, series.uid)
    assert {data_set.PixelData for data_set in data_sets} == {file.pixels for file in files}
    sop_instance_uid = instances[0]["00080018"]["Value"][0]
    (frame,) = web.retrieve_instance_frames(series.study_uid, series.uid, sop_instance_uid, [1])
    assert bytes(frame) in {file.pixels for file in files}
    assert len(web.retrieve_series_metadata(series.study_uid, series.uid)) == 5
