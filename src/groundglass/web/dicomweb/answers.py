"""DICOM JSON (PS3.18 F) of search results."""

from __future__ import annotations

from typing import Any, Final

from groundglass.registry.search import Series, Study
from groundglass.series.manifest import Instance

Attributes = dict[str, dict[str, Any]]
_AVAILABLE: Final = {"vr": "CS", "Value": ["ONLINE"]}


def attribute(vr: str, *values: object) -> dict[str, Any]:
    """Return one attribute; without values it is empty."""
    present = [value for value in values if value not in ("", None)]
    return {"vr": vr, "Value": present} if present else {"vr": vr}


def study(one: Study, base: str) -> Attributes:
    """Return the attributes of a study (PS3.18 table 10.6.3-3)."""
    return {
        "00080005": attribute("CS", "ISO_IR 192"),
        **_study(one),
        "00081190": attribute("UR", f"{base}/studies/{one.study_instance_uid}"),
    }


def series(one: Series, base: str, *, with_study: bool) -> Attributes:
    """Return the attributes of a series (table 10.6.3-4), those of its study when it was not named."""
    return {
        "00080005": attribute("CS", "ISO_IR 192"),
        **(_study(one.study) if with_study else {}),
        "00080060": attribute("CS", one.modality),
        "0008103E": attribute("LO", one.series_description),
        "00081190": attribute("UR", f"{base}/studies/{one.study.study_instance_uid}/series/{one.series_instance_uid}"),
        "00180015": attribute("CS", one.body_part),
        "0020000D": attribute("UI", one.study.study_instance_uid),
        "0020000E": attribute("UI", one.series_instance_uid),
        "00200011": attribute("IS", one.series_number),
        "00201209": attribute("IS", one.instances),
    }


def instance(one: Instance, of: Series, base: str) -> Attributes:
    """Return the attributes of an instance (table 10.6.3-5)."""
    path = f"{base}/studies/{of.study.study_instance_uid}/series/{of.series_instance_uid}"
    found = {
        "00080005": attribute("CS", "ISO_IR 192"),
        "00080016": attribute("UI", one.sop_class_uid),
        "00080018": attribute("UI", one.sop_instance_uid),
        "00080056": _AVAILABLE,
        "00080060": attribute("CS", of.modality),
        "00081190": attribute("UR", f"{path}/instances/{one.sop_instance_uid}"),
        "0020000D": attribute("UI", of.study.study_instance_uid),
        "0020000E": attribute("UI", of.series_instance_uid),
        "00200013": attribute("IS", one.instance_number),
        "00280010": attribute("US", one.rows),
        "00280011": attribute("US", one.columns),
    }
    if one.number_of_frames > 1:
        found["00280008"] = attribute("IS", one.number_of_frames)
    return found


def _study(one: Study) -> Attributes:
    return {
        "00080020": attribute("DA", one.study_date and one.study_date.strftime("%Y%m%d")),
        "00080030": attribute("TM", one.study_time),
        "00080050": attribute("SH"),
        "00080056": _AVAILABLE,
        "00080061": attribute("CS", *one.modalities),
        "00080090": attribute("PN"),
        "00081030": attribute("LO", one.study_description),
        "00100010": attribute("PN", {"Alphabetic": one.patient_id}),
        "00100020": attribute("LO", one.patient_id),
        "00100030": attribute("DA"),
        "00100040": attribute("CS", one.patient_sex),
        "00101010": attribute("AS", one.patient_age),
        "0020000D": attribute("UI", one.study_instance_uid),
        "00200010": attribute("SH"),
        "00201206": attribute("IS", one.series_count),
        "00201208": attribute("IS", one.instance_count),
    }
