"""dicomweb-client, written by others, reads what others' scanners made: a real chest CT through the whole of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from groundglass.demo import phantom, sender
from support.sending import peer, send
from support.shared import data
from support.stack import Stack

CALLING = "REAL_SCANNER"


@dataclass(frozen=True, slots=True)
class Read:
    """A client of the registry, and a series in it whose pixels are known by slice."""

    client: DICOMwebClient
    study: str
    series: str
    pixels: dict[int, bytes]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("dicomweb")) as running:
        yield running


@pytest.fixture(scope="module", params=["phantom", "real"])
def read(stack: Stack, request: pytest.FixtureRequest) -> Read:
    sent = _real(stack) if request.param == "real" else _phantom(stack)
    client = DICOMwebClient(
        f"{stack.doors.url}/dicom-web", headers={"Authorization": f"Bearer {stack.token('curator')}"}
    )
    (found,) = [
        (study, one["0020000E"]["Value"][0])
        for row in client.search_for_studies()
        for study in row["0020000D"]["Value"]
        for one in client.search_for_series(study)
        if one["00201209"]["Value"][0] == len(sent)
    ]
    return Read(client, *found, sent)


def _phantom(stack: Stack) -> dict[int, bytes]:
    files = list(phantom.objects(310, slices=7, rows=64, columns=64, maker="siemens"))
    send(stack, files, calling="PHANTOM")
    assert stack.wait_quiet(len(files), sender="PHANTOM")["archived"] == len(files)
    return {int(file[0x00200013]): file.pixels for file in files}


def _real(stack: Stack) -> dict[int, bytes]:
    paths: list[Path] = sorted(data("ct", "lung_pet_ct_dx", "siemens_A0002_B40f_30").glob("*.dcm"))
    originals = [pydicom.dcmread(path) for path in paths]
    outgoing = [sender.parse(path.read_bytes()) for path in paths]
    assert set(sender.send(peer(stack, calling=CALLING), outgoing)) == {0}
    assert stack.wait_quiet(len(paths), sender=CALLING)["archived"] == len(paths)
    return {int(one.InstanceNumber): one.PixelData for one in originals}


def test_every_search_finds_it(read: Read):
    client = read.client
    (study,) = client.search_for_studies(search_filters={"StudyInstanceUID": read.study}, fields=["00081030"])
    assert study["00201208"]["Value"] == [len(read.pixels)]
    assert client.search_for_studies(search_filters={"StudyInstanceUID": "2.25.1"}) == []
    (series,) = client.search_for_series(read.study, search_filters={"Modality": "CT"}, fields=["SeriesDescription"])
    assert series["0020000E"]["Value"] == [read.series]
    assert client.search_for_series(search_filters={"SeriesInstanceUID": read.series}) != []
    found = client.search_for_instances(read.study, read.series, fields=["ImagePositionPatient"])
    assert [one["00200013"]["Value"][0] for one in found] == sorted(read.pixels)
    assert all(len(one["00200032"]["Value"]) == 3 for one in found)
    assert len(client.search_for_instances(read.study)) == len(read.pixels)


def test_paging_ends(read: Read):
    found = read.client.search_for_instances(read.study, read.series, limit=3, get_remaining=True)
    assert len(found) == len({one["00080018"]["Value"][0] for one in found}) == len(read.pixels)


def test_series_and_study_come_back_with_their_pixels(read: Read):
    for data_sets in (read.client.retrieve_series(read.study, read.series), read.client.retrieve_study(read.study)):
        assert {int(one.InstanceNumber): one.PixelData for one in data_sets} == read.pixels
    streamed = read.client.iter_series(read.study, read.series)
    assert {int(one.InstanceNumber): one.PixelData for one in streamed} == read.pixels


def test_an_instance_can_be_decoded(read: Read):
    uid = read.client.search_for_instances(read.study, read.series)[0]["00080018"]["Value"][0]
    one = read.client.retrieve_instance(read.study, read.series, uid)
    assert one.PixelData == read.pixels[int(one.InstanceNumber)]
    assert one.pixel_array.shape == (one.Rows, one.Columns)
    written = io.BytesIO()
    one.save_as(written)
    assert np.array_equal(pydicom.dcmread(io.BytesIO(written.getvalue())).pixel_array, one.pixel_array)


def test_frames_are_the_pixels(read: Read):
    found = read.client.search_for_instances(read.study, read.series)
    for one in found[:: max(1, len(found) // 5)]:
        uid, number = one["00080018"]["Value"][0], one["00200013"]["Value"][0]
        for media_types in (None, (("application/octet-stream", "*"),)):
            (frame,) = read.client.retrieve_instance_frames(read.study, read.series, uid, [1], media_types=media_types)
            assert bytes(frame) == read.pixels[number][: len(frame)]
            assert len(read.pixels[number]) - len(frame) in (0, 1)


def test_metadata_are_what_pydicom_reads_in_the_files(read: Read):
    headers = {
        one["00080018"]["Value"][0]: one for one in read.client.retrieve_series_metadata(read.study, read.series)
    }
    assert len(read.client.retrieve_study_metadata(read.study)) == len(headers) == len(read.pixels)
    for one in read.client.iter_series(read.study, read.series):
        del one.PixelData
        assert pydicom.Dataset.from_json(headers[str(one.SOPInstanceUID)]) == one
    uid = next(iter(headers))
    assert read.client.retrieve_instance_metadata(read.study, read.series, uid) == headers[uid]


def test_what_is_not_there_and_what_may_not_be_done(read: Read):
    with pytest.raises(requests.HTTPError, match="404"):
        read.client.retrieve_series(read.study, "2.25.1")
    with pytest.raises(requests.HTTPError, match="405"):
        read.client.delete_series(read.study, read.series)
    with pytest.raises(requests.HTTPError, match="406"):
        read.client.retrieve_instance_frames(
            read.study, read.series, next(_uids(read)), [1], media_types=(("image/jpeg", "1.2.840.10008.1.2.4.50"),)
        )


def _uids(read: Read) -> Iterator[str]:
    for one in read.client.search_for_instances(read.study, read.series):
        yield one["00080018"]["Value"][0]
