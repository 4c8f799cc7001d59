"""Four makers' habits: encodings, the names that their consoles write, and their private groups.

Tags and types follow what such scanners are known to write; every value is made up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from groundglass.demo.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Element, rows
from groundglass.demo.raster import Encoding

Name = Literal["ge", "siemens", "philips", "canon"]


@dataclass(frozen=True, slots=True)
class Slice:
    """Where one slice lies: index from 0 at the apices, z in mm, seconds since the scan began, tube current in mA."""

    index: int
    z: float
    seconds: float
    milliampere: int


@dataclass(frozen=True, slots=True)
class Maker:
    """One maker's way to write a chest CT."""

    name: Name
    manufacturer: str
    model: str
    software: str
    kernel: str
    filter_type: str
    image_type: str
    protocol: str
    series_description: str
    syntax: str
    undefined_lengths: bool
    bits: int
    pixels: Encoding
    private: Callable[[Slice], tuple[Element, ...]]
    extra: tuple[Element, ...]


def _ge(at: Slice) -> tuple[Element, ...]:
    return (*_ge_acquisition(at), *_ge_image(at))


def _ge_acquisition(at: Slice) -> tuple[Element, ...]:
    return rows(
        (0x00090010, "LO", "GEMS_IDEN_01"),
        (0x00091001, "LO", "CT_LIGHTSPEED"),
        (0x00091002, "SH", "SCANNER7"),
        (0x00091004, "SH", "Phantom VCT"),
        (0x00190010, "LO", "GEMS_ACQU_01"),
        (0x00191002, "SL", (912,)),
        (0x00191003, "DS", "390.250000"),
        (0x00191004, "DS", "1.023900"),
        (0x0019100F, "DS", f"{1500 + at.z:.6f}"),
        (0x00191011, "SS", (0,)),
        (0x00191018, "LO", "S"),
        (0x0019101A, "LO", "I"),
        (0x00191023, "DS", "39.375000"),
        (0x00191024, "DS", f"{at.seconds:.6f}"),
        (0x00191025, "SS", (1,)),
        (0x00191026, "SL", (-1,)),
        (0x00191027, "DS", "0.500000"),
        (0x0019102C, "SL", (8192,)),
        (0x0019102E, "DS", "0.000000"),
        (0x0019102F, "DS", "1968.000000"),
        (0x00191039, "SS", (1024,)),
        (0x00191042, "SS", (0,)),
        (0x00191043, "SS", (0,)),
        (0x00191047, "SS", (1,)),
        (0x00191052, "SS", (1,)),
        (0x0019106A, "SS", (4,)),
        (0x00210010, "LO", "GEMS_RELA_01"),
        (0x00211036, "SS", (2,)),
        (0x00211091, "SS", (0,)),
        (0x00211092, "FL", (0.0,)),
        (0x00230010, "LO", "GEMS_STDY_01"),
        (0x00231070, "FD", (at.seconds,)),
    )


def _ge_image(at: Slice) -> tuple[Element, ...]:
    return rows(
        (0x00270010, "LO", "GEMS_IMAG_01"),
        (0x00271010, "SS", (0,)),
        (0x0027101C, "SL", (at.milliampere,)),
        (0x00271020, "SS", (2,)),
        (0x00271035, "SS", (2,)),
        (0x00271042, "FL", (-2.5,)),
        (0x00271043, "FL", (-21.5,)),
        (0x00271044, "FL", (at.z,)),
        (0x00271047, "FL", (-1.0,)),
        (0x00430010, "LO", "GEMS_PARM_01"),
        (0x00431010, "US", (400,)),
        (0x00431012, "SS", (14, 2, 3)),
        (0x00431016, "SS", (0,)),
        (0x0043101E, "DS", f"{at.seconds / 2:.6f}"),
        (0x00431025, "SS", (0, 0, 0, 0, 0, 0)),
        (0x00431026, "US", (0, 0, 0, 0)),
        (0x00431027, "SH", "0.984:1"),
        (0x0043102B, "SS", (4, 0, 0, 0)),
        (0x00431031, "DS", "-2.500000\\-21.500000"),
        (0x00431040, "FL", (140.5,)),
        (0x00431041, "FL", (2977.75,)),
        (0x00450010, "LO", "GEMS_HELIOS_01"),
        (0x00451001, "SS", (64,)),
        (0x00451002, "FL", (0.625,)),
        (0x00451006, "CS", "OUT OF GANTRY"),
        (0x00530010, "LO", "GEHC_CT_ADVAPP_001"),
        (0x00531040, "SH", "SS30"),
        (0x00531042, "LO", "SS30:Slice"),
        (0x00451008, "SS", (0,)),
        (0x0045100C, "SS", (0,)),
        (0x0045100D, "SS", (0,)),
        (0x00451010, "SS", (0,)),
        (0x00451011, "SS", (0,)),
    )


def _siemens(at: Slice) -> tuple[Element, ...]:
    return rows(
        (0x00090010, "LO", "SIEMENS CT VA1 DUMMY"),
        (0x00190010, "LO", "SIEMENS CT VA0  COAD"),
        (0x00191090, "DS", "1"),
        (0x00191092, "IS", "1"),
        (0x00191093, "DS", "0"),
        (0x00191096, "SL", (0,)),
        (0x001910A0, "LO", "CT_SOM7_PHANTOM"),
        (0x001910B0, "DS", "46.0"),
        (0x00210010, "LO", "SIEMENS MED"),
        (0x00211011, "DS", "-8\\0"),
        (0x00290010, "LO", "SIEMENS CSA HEADER"),
        (0x00290011, "LO", "SIEMENS MEDCOM HEADER"),
        (0x00291008, "CS", "SOM 7"),
        (0x00291009, "LO", "VA10A 971201"),
        (0x00291010, "OB", _csa(at)),
        (0x00291131, "LO", "4.0.987650"),
        (0x00291132, "SL", (32768,)),
    )


def _csa(at: Slice) -> bytes:
    """An opaque block as Siemens consoles write it; its inside is made up and only looks the part."""
    block = b"SV10\4\3\2\1" + (1).to_bytes(4, "little") + b"M\0\0\0" + b"SliceLocation".ljust(64, b"\0")
    return block + f"{at.z:.3f}".encode().ljust(24, b"\0")


def _philips(at: Slice) -> tuple[Element, ...]:
    return rows(
        (0x00E10010, "LO", "ELSCINT1"),
        (0x00E11001, "US", (1,)),
        (0x00E11018, "OB", b"\1\0\2\0"),
        (0x00E11024, "UI", ""),
        (0x00E11030, "UI", ""),
        (0x00E11036, "CS", "NO"),
        (0x00E11040, "SH", "Thorax"),
        (0x00E11060, "LT", "CHEST ROUTINE"),
        (0x01E10010, "LO", "ELSCINT1"),
        (0x01E11018, "ST", "0"),
        (0x01E11026, "CS", "HELICAL"),
        (0x01F10010, "LO", "ELSCINT1"),
        (0x01F11001, "CS", "AXIAL"),
        (0x01F11002, "CS", "Y"),
        (0x01F11007, "DS", f"{at.seconds:.3f}"),
        (0x01F1100C, "SH", "0.625"),
        (0x01F70010, "LO", "ELSCINT1"),
        (0x01F71011, "OB", bytes(64)),
        (0x07A10010, "LO", "ELSCINT1"),
        (0x07A11010, "LO", "4.1.7"),
        (0x07A1102A, "CS", "NO"),
    )


def _canon(at: Slice) -> tuple[Element, ...]:
    return rows(
        (0x70050010, "LO", "TOSHIBA_MEC_CT3"),
        (0x70051007, "SH", "V4.86PH001"),
        (0x70051009, "DS", f"{at.z:.2f}"),
        (0x7005100A, "IS", str(at.index + 1)),
        (0x7005100B, "SH", "FC08"),
        (0x7005100F, "SH", "HELICAL"),
        (0x70051011, "UN", b"\0\0\0\0"),
        (0x70051012, "US", (1,)),
        (0x7005101D, "UI", "2.25.90210"),
        (0x70051030, "DS", "65"),
        (0x70051043, "DS", f"{at.milliampere}"),
        (0x70051063, "FL", (at.seconds,)),
    )


_BODY = Element(0x00180015, "CS", "CHEST")
MAKERS: dict[Name, Maker] = {
    "ge": Maker(
        name="ge",
        manufacturer="GE MEDICAL SYSTEMS",
        model="LightSpeed VCT",
        software="vct_zeta.4",
        kernel="LUNG",
        filter_type="BODY FILTER",
        image_type="ORIGINAL\\PRIMARY\\AXIAL",
        protocol="5.1 THORAX SANS INJECTION",
        series_description="THORAX PARENCHYME 1.25mm",
        syntax=EXPLICIT_LITTLE,
        undefined_lengths=True,
        bits=16,
        pixels=Encoding(signed=True, padding=-2000),
        private=_ge,
        extra=(
            Element(0x00200060, "CS", ""),
            Element(0x00280120, "SS", (-2000,)),
            Element(0x00189305, "FD", (0.5,)),
            Element(0x00189306, "FD", (0.625,)),
            Element(0x00189307, "FD", (40.0,)),
            Element(0x00189309, "FD", (78.75,)),
            Element(0x00189310, "FD", (39.375,)),
            Element(0x00189311, "FD", (0.984375,)),
        ),
    ),
    "siemens": Maker(
        name="siemens",
        manufacturer="SIEMENS",
        model="SOMATOM Definition AS",
        software="syngo CT 2012B",
        kernel="I70f\\3",
        filter_type="FLAT",
        image_type="ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI",
        protocol="Thorax_Routine",
        series_description="Thorax  1.0  I70f  3",
        syntax=EXPLICIT_LITTLE,
        undefined_lengths=False,
        bits=12,
        pixels=Encoding(),
        private=_siemens,
        extra=(
            _BODY,
            Element(0x00181200, "DA", "20200302"),
            Element(0x00181201, "TM", "071512.000000"),
            Element(0x00281055, "LO", "WINDOW1\\WINDOW2"),
        ),
    ),
    "philips": Maker(
        name="philips",
        manufacturer="Philips",
        model="Brilliance 64",
        software="4.1.7",
        kernel="L",
        filter_type="L",
        image_type="ORIGINAL\\PRIMARY\\AXIAL\\HELIX",
        protocol="Thorax C-/Thorax",
        series_description="PARENCHYME",
        syntax=IMPLICIT_LITTLE,
        undefined_lengths=True,
        bits=12,
        pixels=Encoding(),
        private=_philips,
        extra=(
            _BODY,
            Element(0x00102000, "LO", ""),
            Element(0x00102110, "LO", ""),
            Element(0x001021C0, "US", (4,)),
        ),
    ),
    "canon": Maker(
        name="canon",
        manufacturer="TOSHIBA",
        model="Aquilion ONE",
        software="V4.86PH001",
        kernel="FC51",
        filter_type="LARGE",
        image_type="ORIGINAL\\PRIMARY\\AXIAL",
        protocol="Thorax sans IV",
        series_description="Poumon 1.0",
        syntax=EXPLICIT_LITTLE,
        undefined_lengths=False,
        bits=16,
        pixels=Encoding(intercept=0, signed=True),
        private=_canon,
        extra=(_BODY, Element(0x00280120, "SS", (-32768,)), Element(0x00189304, "FD", (0.0,))),
    ),
}
