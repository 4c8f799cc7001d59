"""Read the registry by DICOMweb (PS3.18) with nothing but an HTTP client, as a viewer would."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import httpx
import pydicom

JSON = {"Accept": "application/dicom+json"}
_FILES = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_FRAMES = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}


@dataclass(frozen=True, slots=True)
class Series:
    """One series as QIDO-RS describes it."""

    study_uid: str
    uid: str
    patient_id: str
    instances: int

    @property
    def path(self) -> str:
        return f"/dicom-web/studies/{self.study_uid}/series/{self.uid}"


class Archive:
    """What a client may see of the registry."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def query(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """Return the matches of a QIDO-RS search below /dicom-web; 204 is none."""
        answer = self.client.get(f"/dicom-web/{path}", params=parameters, headers=JSON)
        if answer.status_code == 204:
            return []
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def series(self) -> set[Series]:
        """Return every series that is listed."""
        found = set()
        for study in self.query("studies", limit="1000"):
            study_uid, patient_id = value(study, "0020000D"), value(study, "00100020")
            for one in self.query(f"studies/{study_uid}/series"):
                found.add(Series(study_uid, value(one, "0020000E"), patient_id, int(value(one, "00201209"))))
        return found

    def files(self, series: Series) -> list[bytes]:
        """Return the instances of a series as WADO-RS sends them, in the order sent."""
        return parts(self._get(series.path, _FILES))

    def pixels(self, series: Series) -> list[bytes]:
        """Return the PixelData of a series by instance number, read from its files."""
        return [data_set.PixelData for data_set in self.data_sets(series)]

    def data_sets(self, series: Series) -> list[pydicom.FileDataset]:
        """Return the instances of a series by instance number."""
        found = [pydicom.dcmread(io.BytesIO(content)) for content in self.files(series)]
        return sorted(found, key=lambda data_set: int(data_set.InstanceNumber))

    def frame(self, series: Series, sop_instance_uid: str, number: int = 1) -> bytes:
        """Return one frame."""
        (content,) = parts(self._get(f"{series.path}/instances/{sop_instance_uid}/frames/{number}", _FRAMES))
        return content

    def metadata(self, series: Series) -> list[dict[str, Any]]:
        """Return the headers of a series."""
        return self._get(f"{series.path}/metadata", JSON).json()

    def package(self, series: Series) -> httpx.Response:
        """Return the answer to a download of the series package."""
        return self._get(f"/api/v1/series/{series.uid}/package", {})

    def _get(self, path: str, headers: dict[str, str]) -> httpx.Response:
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer


def value(data_set: dict[str, Any], tag: str) -> Any:
    """Return the first value of an attribute of DICOM JSON, "" when it has none."""
    return (data_set.get(tag, {}).get("Value") or [""])[0]


def parts(answer: httpx.Response) -> list[bytes]:
    """Return the bodies of a multipart/related answer (RFC 2387)."""
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/related"), kind
    found = re.search(r'boundary="?([^";]+)"?', kind)
    assert found, kind
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + found[1].encode())
    assert pieces[-1].startswith(b"--"), "the last boundary is missing: the answer was cut"
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]
