"""DICOM JSON (PS3.18 F) of search results. Values are JSON text from the start: long lists are joined, not dumped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from groundglass.registry.search import Series, Study
from groundglass.series.manifest import Instance

Attributes = dict[str, str]  # tag -> JSON text of the attribute


_dumped: Final = json.JSONEncoder(separators=(",", ":")).encode


@lru_cache(maxsize=8192)
def attribute(vr: str, *values: str | int) -> str:
    """Return one attribute, of values that come again and again; without values it is empty."""
    present = [value for value in values if value != ""]
    return _dumped({"vr": vr, "Value": present} if present else {"vr": vr})


def _text(vr: str, value: str) -> str:
    """Return an attribute whose value hardly comes again."""
    return f'{{"vr":"{vr}","Value":[{_dumped(value)}]}}'


_CHARSET: Final = attribute("CS", "ISO_IR 192")
_AVAILABLE: Final = attribute("CS", "ONLINE")


def body(found: Iterable[Attributes]) -> str:
    """Return the JSON array of results, each with its attributes in the order of their tags."""
    return "[" + ",".join([_object(one) for one in found]) + "]"


def _object(attributes: Attributes) -> str:
    return "{" + ",".join([f'"{tag}":{text}' for tag, text in sorted(attributes.items())]) + "}"


def study(one: Study, base: str) -> Attributes:
    """Return the attributes of a study (PS3.18 table 10.6.3-3)."""
    return {
        "00080005": _CHARSET,
        **_study(one),
        "00081190": _text("UR", f"{base}/studies/{one.study_instance_uid}"),
    }


def series(one: Series, base: str, *, with_study: bool) -> Attributes:
    """Return the attributes of a series (table 10.6.3-4), those of its study when it was not named."""
    return {
        "00080005": _CHARSET,
        **(_study(one.study) if with_study else {}),
        "00080060": attribute("CS", one.modality),
        "0008103E": attribute("LO", one.series_description),
        "00081190": _address(one, base),
        "00180015": attribute("CS", one.body_part),
        "0020000D": attribute("UI", one.study.study_instance_uid),
        "0020000E": _text("UI", one.series_instance_uid),
        "00200011": _number("IS", one.series_number),
        "00201209": attribute("IS", one.instances),
    }


def instance(one: Instance, of: Series, base: str) -> Attributes:
    """Return the attributes of an instance (table 10.6.3-5)."""
    found = {
        "00080005": _CHARSET,
        "00080016": attribute("UI", one.sop_class_uid),
        "00080018": _text("UI", one.sop_instance_uid),
        "00080056": _AVAILABLE,
        "00080060": attribute("CS", of.modality),
        "00081190": _address(of, base, f"/instances/{one.sop_instance_uid}"),
        "0020000D": attribute("UI", of.study.study_instance_uid),
        "0020000E": attribute("UI", of.series_instance_uid),
        "00200013": _number("IS", one.instance_number),
        "00280010": _number("US", one.rows),
        "00280011": _number("US", one.columns),
        "00083002": attribute("UI", one.transfer_syntax_uid),
    }
    if one.number_of_frames > 1:
        found["00280008"] = attribute("IS", one.number_of_frames)
    return found


def with_fields(shown: Attributes, header: Mapping[str, Any], fields: Iterable[str]) -> Attributes:
    """Add what else the client asks for from the header of the instance: tags, or `all`."""
    wanted = header if "all" in fields else [tag for tag in fields if tag in header]
    return {tag: _dumped(header[tag]) for tag in wanted} | shown


def _study(one: Study) -> Attributes:
    return {
        "00080020": attribute("DA", one.study_date.strftime("%Y%m%d") if one.study_date else ""),
        "00080030": _text("TM", one.study_time) if one.study_time else attribute("TM"),
        "00080050": attribute("SH"),
        "00080056": _AVAILABLE,
        "00080061": attribute("CS", *one.modalities),
        "00080090": attribute("PN"),
        "00081030": attribute("LO", one.study_description),
        "00100010": f'{{"vr":"PN","Value":[{{"Alphabetic":{_dumped(one.patient_id)}}}]}}',
        "00100020": _text("LO", one.patient_id),
        "00100030": attribute("DA"),
        "00100040": attribute("CS", one.patient_sex),
        "00101010": attribute("AS", one.patient_age),
        "0020000D": _text("UI", one.study_instance_uid),
        "00200010": attribute("SH"),
        "00201206": attribute("IS", one.series_count),
        "00201208": attribute("IS", one.instance_count),
    }


def _number(vr: str, value: int | None) -> str:
    return attribute(vr) if value is None else attribute(vr, value)


def _address(one: Series, base: str, below: str = "") -> str:
    path = f"{base}/studies/{one.study.study_instance_uid}/series/{one.series_instance_uid}{below}"
    return _text("UR", path)
