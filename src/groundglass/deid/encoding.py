"""What every reader of DICOM bytes needs: limits, faults, where a value is."""

from __future__ import annotations

from struct import Struct

UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = 0x7FE00010
# security.md P1
MAX_DEPTH = 16
MAX_ELEMENTS = 100_000
MAX_VALUE = 16 << 20
MAX_HEADER = 64 << 20

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

u32 = Struct("<I").unpack_from


class MalformedError(Exception):
    """The bytes are not a DICOM data set."""


class TooLargeError(Exception):
    """More elements, depth or bytes than the limits allow. `wanted` is where a too long value would end."""

    def __init__(self, wanted: int = 0) -> None:
        super().__init__()
        self.wanted = wanted


class ShortError(Exception):
    """The walk needs bytes up to `wanted`."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted = wanted


def value_at(data: bytes, pos: int, implicit: bool) -> tuple[int, int]:
    """Where the value of the element at `pos` starts, and its length."""
    if pos + 8 > len(data):
        raise ShortError(pos + 8)
    if implicit:
        return pos + 8, u32(data, pos + 4)[0]
    vr = data[pos + 4 : pos + 6]
    if vr in SHORT_VRS:
        return pos + 8, data[pos + 6] | data[pos + 7] << 8
    if pos + 12 > len(data):
        raise ShortError(pos + 12)
    return pos + 12, u32(data, pos + 8)[0]


def value_of(raw: bytes, implicit: bool) -> tuple[int, bytes, bytes]:
    """Tag, VR (empty when implicit) and value of a raw element that was walked."""
    start, _ = value_at(raw, 0, implicit)
    tag = (raw[0] | raw[1] << 8) << 16 | raw[2] | raw[3] << 8
    return tag, b"" if implicit else raw[4:6], raw[start:]
