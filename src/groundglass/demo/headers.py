"""Headers of chest CT as hospitals really fill them: the patient, the order, the staff, the scanner, the geometry.

Everything identifying comes from one made-up `Person`. Attributes, their order of magnitude and their habits are those
of real examinations; the values and the texts are our own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from groundglass.demo.elements import Element, Part10, Writing, rows
from groundglass.demo.identities import Person, person
from groundglass.demo.makers import MAKERS, Maker, Name, Slice
from groundglass.demo.raster import Grid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
FIELD_MM = 384.0
SCANNED_MM = 320.0


def uid(*parts: str | int) -> str:
    """Return a UID of its own for these parts: 2.25 and a UUID of version 4, where the engine makes version 8."""
    number = int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:16], "big")
    number &= ~(0xF000 << 64) & ~(0xC000 << 48)
    return f"2.25.{number | 0x4000 << 64 | 0x8000 << 48}"


@dataclass(frozen=True, slots=True)
class Exam:
    """One series of one study of one made-up person."""

    person: Person
    maker: Maker
    grid: Grid
    slices: int
    study_uid: str
    series_uid: str
    series_number: int
    begin: datetime
    station: str

    @property
    def step_mm(self) -> float:
        """Distance between slices; the whole chest is scanned, whatever the number of slices."""
        return round(SCANNED_MM / max(self.slices, 1), 4)

    def at(self, index: int) -> Slice:
        """Return where slice `index` (0 = apices) lies."""
        share = index / max(self.slices, 1)
        # Tube current modulation: more through the shoulders and the upper abdomen.
        current = 120 + round(90 * abs(share - 0.45))
        return Slice(index, round(1450.5 - index * self.step_mm, 4), round(0.35 + 5 * share, 4), current)

    def sop_uid(self, index: int) -> str:
        return uid("instance", self.series_uid, index)


def exam(
    seed: int,
    *,
    slices: int = 40,
    rows: int = 512,
    columns: int = 512,
    maker: Name | None = None,
    patient: int | None = None,
    study: int | None = None,
) -> Exam:
    """Return the exam of a seed. `patient` and `study` give it the person and the study of other seeds."""
    patient = seed if patient is None else patient
    study = seed if study is None else study
    names = list(MAKERS)
    random = Random(f"study {study}")  # noqa: S311  (test data, reproducible by design)
    return Exam(
        person=person(patient),
        maker=MAKERS[maker or names[seed % len(names)]],
        grid=Grid(rows, columns, FIELD_MM / columns),
        slices=slices,
        study_uid=uid("study", study),
        series_uid=uid("series", study, seed),
        series_number=2 + seed % 7,
        begin=datetime(2020, 3, 2, 8, 5, 11)  # noqa: DTZ001  (DICOM times are local times without a zone)
        + timedelta(days=random.randint(0, 84), minutes=random.randint(0, 600)),
        station=f"CT{1 + seed % 3}-BIDON",
    )


def ct(exam: Exam, index: int, pixels: bytes, *, syntax: str | None = None, charset: str = "ISO_IR 100") -> Part10:
    """Return one axial CT Image of the exam around `pixels` (stored values, little endian)."""
    at = exam.at(index)
    elements = (
        Element(0x00080005, "CS", charset),
        *_instance(exam, at),
        *_patient(exam.person),
        *_order(exam),
        *_equipment(exam),
        *_acquisition(exam, at),
        *_geometry(exam, at),
        *_image(exam),
        *exam.maker.extra,
        *exam.maker.private(at),
    )
    writing = Writing(syntax or exam.maker.syntax, charset, exam.maker.undefined_lengths)
    meta = (Element(0x00020016, "AE", "CT_BIDON_1"),)
    return Part10(elements, writing, meta, pixels=pixels)


def _instance(exam: Exam, at: Slice) -> Iterator[Element]:
    acquired = exam.begin + timedelta(minutes=6, seconds=at.seconds)
    created = acquired + timedelta(seconds=48)
    series = exam.begin + timedelta(minutes=5)
    yield from rows(
        (0x00080008, "CS", exam.maker.image_type),
        (0x00080012, "DA", f"{created:%Y%m%d}"),
        (0x00080013, "TM", f"{created:%H%M%S}"),
        (0x00080016, "UI", CT_IMAGE),
        (0x00080018, "UI", exam.sop_uid(at.index)),
        (0x00080020, "DA", f"{exam.begin:%Y%m%d}"),
        (0x00080021, "DA", f"{series:%Y%m%d}"),
        (0x00080022, "DA", f"{acquired:%Y%m%d}"),
        (0x00080023, "DA", f"{created:%Y%m%d}"),
        (0x00080030, "TM", f"{exam.begin:%H%M%S}"),
        (0x00080031, "TM", f"{series:%H%M%S}"),
        (0x00080032, "TM", f"{acquired:%H%M%S.%f}"),
        (0x00080033, "TM", f"{created:%H%M%S.%f}"),
        (0x00080060, "CS", "CT"),
        (0x0020000D, "UI", exam.study_uid),
        (0x0020000E, "UI", exam.series_uid),
        (0x00200010, "SH", exam.person.order[3:]),
        (0x00200011, "IS", str(exam.series_number)),
        (0x00200012, "IS", "1"),
        (0x00200013, "IS", str(at.index + 1)),
    )


def _patient(person: Person) -> Iterator[Element]:
    age = 2020 - int(person.birth_date[:4])
    yield from rows(
        (0x00100010, "PN", person.dicom_name),
        (0x00100020, "LO", person.ipp),
        (0x00100021, "LO", "HOPITAL-BIDON"),
        (0x00100030, "DA", person.birth_date),
        (0x00100040, "CS", person.sex),
        (0x00101005, "PN", person.birth_name),
        (0x00101010, "AS", f"{age:03}Y"),
        (0x00101020, "DS", "1.68"),
        (0x00101030, "DS", "71"),
        (0x00101040, "LO", f"{person.street}, {person.town}"),
        (0x00101060, "PN", person.mother),
        (0x00102154, "SH", person.phone.replace(" ", "")),
        (0x001021B0, "LT", f"Toux, fièvre depuis 5 jours. Vu par le Dr {person.referrer.partition('^')[0]}"),
        (0x00104000, "LT", f"NIR {person.nir}"),
    )
    other = Element(0x00100020, "LO", person.nir), Element(0x00100022, "CS", "TEXT")
    yield Element(0x00101002, "SQ", (other,))


def _code(value: str, scheme: str, meaning: str) -> tuple[Element, ...]:
    return rows((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning))


def _reference(sop_class: str, instance: str) -> tuple[Element, ...]:
    return rows((0x00081150, "UI", sop_class), (0x00081155, "UI", instance))


def _order(exam: Exam) -> Iterator[Element]:
    who, study = exam.person, exam.study_uid
    local = _code("TDMTHX1", "99BIDON", "TDM THORAX SANS INJECTION")
    step = tuple(
        rows(
            (0x00400007, "LO", "TDM THORAX"),
            (0x00400009, "SH", who.order),
            (0x00401001, "SH", who.order),
            (0x00321060, "LO", "Scanner thoracique"),
        )
    )
    yield from rows(
        (0x00080050, "SH", who.accession),
        (0x00080080, "LO", "Hôpital Bidon de Trifouilly"),
        (0x00080081, "ST", "1 place du Faux-Hôpital, Trifouilly"),
        (0x00080090, "PN", who.referrer),
        (0x00081030, "LO", "TDM THORAX SANS INJECTION"),
        (0x0008103E, "LO", exam.maker.series_description),
        (0x00081040, "LO", "Imagerie Bidon"),
        (0x00081050, "PN", who.radiologist),
        (0x00081070, "PN", who.operator),
        (0x00081080, "LO", "Suspicion de pneumopathie"),
        (0x00321032, "PN", who.referrer),
        (0x00321060, "LO", "Scanner thoracique"),
        (0x00380010, "LO", who.order),
        (0x00400244, "DA", f"{exam.begin:%Y%m%d}"),
        (0x00400245, "TM", f"{exam.begin:%H%M%S}"),
        (0x00400253, "SH", who.order),
        (0x00400254, "LO", "TDM THORAX"),
    )
    for tag, item in (
        (0x00081032, local),
        (0x00081110, _reference("1.2.840.10008.3.1.2.3.1", study)),
        (0x00081111, _reference("1.2.840.10008.3.1.2.3.3", uid("step", study))),
        (0x00081140, _reference(CT_IMAGE, uid("localizer", study))),
        (0x00321064, local),
        (0x00400260, local),
        (0x00400275, (*step, Element(0x00400008, "SQ", (local,)))),
    ):
        yield Element(tag, "SQ", (item,))


def _equipment(exam: Exam) -> tuple[Element, ...]:
    maker = exam.maker
    return rows(
        (0x00080070, "LO", maker.manufacturer),
        (0x00081010, "SH", exam.station),
        (0x00081090, "LO", maker.model),
        (0x00181000, "LO", "99990042"),
        (0x00181020, "LO", maker.software),
        (0x00181030, "LO", maker.protocol),
        (0x00181160, "SH", maker.filter_type),
        (0x00181210, "SH", maker.kernel),
    )


def _acquisition(exam: Exam, at: Slice) -> Iterator[Element]:
    yield from rows(
        (0x00180022, "CS", "HELICAL MODE"),
        (0x00180050, "DS", f"{min(exam.step_mm, 5):.4f}"),
        (0x00180060, "DS", "120"),
        (0x00180088, "DS", f"{exam.step_mm:.4f}"),
        (0x00180090, "DS", "500"),
        (0x00181100, "DS", f"{FIELD_MM:.1f}"),
        (0x00181110, "DS", "949.147"),
        (0x00181111, "DS", "541"),
        (0x00181120, "DS", "0"),
        (0x00181130, "DS", "152.5"),
        (0x00181140, "CS", "CW"),
        (0x00181150, "IS", "500"),
        (0x00181151, "IS", str(at.milliampere)),
        (0x00181152, "IS", str(at.milliampere // 2)),
        (0x00181170, "IS", "60000"),
        (0x00181190, "DS", "1.2"),
        (0x00185100, "CS", "HFS"),
        (0x00189323, "CS", "XYZ_EC"),
    )
    yield Element(0x00189345, "FD", (round(at.milliampere * 0.035, 3),))
    phantom = _code("113691", "DCM", "IEC Body Dosimetry Phantom")
    yield Element(0x00189346, "SQ", (phantom,))


def _geometry(exam: Exam, at: Slice) -> tuple[Element, ...]:
    grid = exam.grid
    left, top = (-(size - 1) / 2 * grid.spacing for size in (grid.columns, grid.rows))
    return rows(
        (0x00200032, "DS", f"{left:.6f}\\{top:.6f}\\{at.z:.4f}"),
        (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
        (0x00200052, "UI", uid("frame", exam.study_uid)),
        (0x00201040, "LO", "SN"),
        (0x00201041, "DS", f"{at.z:.4f}"),
        (0x00280030, "DS", f"{grid.spacing:.8g}\\{grid.spacing:.8g}"),
    )


def _image(exam: Exam) -> Iterator[Element]:
    bits, pixels = exam.maker.bits, exam.maker.pixels
    for tag, number in (
        (0x00280002, 1),
        (0x00280010, exam.grid.rows),
        (0x00280011, exam.grid.columns),
        (0x00280100, 16),
        (0x00280101, bits),
        (0x00280102, bits - 1),
        (0x00280103, int(pixels.signed)),
    ):
        yield Element(tag, "US", (number,))
    yield from rows(
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00281050, "DS", "-600\\40"),
        (0x00281051, "DS", "1600\\400"),
        (0x00281052, "DS", str(pixels.intercept)),
        (0x00281053, "DS", "1"),
        (0x00281054, "LO", "HU"),
    )
