"""DICOM JSON (PS3.18 F) of a header, made as text; elements that repeat from slice to slice are converted once."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Callable, Iterator

from groundglass.series.charset import Charset
from groundglass.series.elements import MAX_DEPTH, PIXEL_DATA, Element, elements, items
from groundglass.series.invalid import InvalidPackageError

_CHARACTER_SET = 0x00080005
_MEMO_ENTRIES = 4_000
_MEMO_VALUE_BYTES = 4096
_LONGEST_NUMBER = 64  # four times what DS may have; Python refuses to read integers of thousands of digits
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_COMPONENTS = ("Alphabetic", "Ideographic", "Phonetic")
_BINARY = {
    b"FL": "f", b"FD": "d", b"SL": "i", b"SS": "h", b"SV": "q", b"UL": "I", b"US": "H", b"UV": "Q",
}  # fmt: skip
_text = json.JSONEncoder(ensure_ascii=False).encode


class Converter:
    """Turns headers of one series into JSON text. Keep one per series: it remembers what it has converted."""

    def __init__(self) -> None:
        self._memos: dict[bytes, dict[bytes, str]] = {}

    def data_set(self, data: bytes, start: int, end: int, *, beyond: int = 0, depth: int = 0) -> str:
        """Return the JSON object of the data set [start, end) without PixelData. Raises InvalidPackageError."""
        return self._object(data, elements(data, start, end, beyond=beyond, depth=depth), b"", depth)

    def _object(self, data: bytes, found: Iterator[Element], charset: bytes, depth: int) -> str:
        memo = self._memo(charset)
        members: list[str] = []
        for element in found:
            tag = element.tag
            if tag == PIXEL_DATA and depth == 0:
                break
            if tag == _CHARACTER_SET:
                charset = data[element.value : element.end]
                memo = self._memo(charset)
            raw = data[element.start : element.end]
            member = memo.get(raw)
            if member is None:
                member = self._member(data, element, charset, depth)
                if len(raw) <= _MEMO_VALUE_BYTES:
                    memo[raw] = member
            if member:
                members.append(member)
        return "{" + ",".join(members) + "}"

    def _memo(self, charset: bytes) -> dict[bytes, str]:
        memo = self._memos.setdefault(charset, {})
        if len(memo) > _MEMO_ENTRIES:
            memo.clear()
        return memo

    def _member(self, data: bytes, element: Element, charset: bytes, depth: int) -> str:
        """Return `"ggggeeee":{...}` of one element, nothing for a group length."""
        if not element.tag & 0xFFFF:
            return ""
        vr = element.vr.decode()
        if element.vr == b"SQ":
            content = self._sequence(data, element, charset, depth)
        else:
            content = _content(element.vr, data[element.value : element.end], charset)
        return f'"{element.tag:08X}":{{"vr":"{vr}"{content}}}'

    def _sequence(self, data: bytes, element: Element, charset: bytes, depth: int) -> str:
        if depth + 1 >= MAX_DEPTH:
            raise InvalidPackageError("too-deep")
        found = [
            self._object(data, elements(data, start, end, depth=depth + 1), charset, depth + 1)
            for start, end in items(data, element, depth=depth)
        ]
        return f',"Value":[{",".join(found)}]' if found else ""


def _content(vr: bytes, value: bytes, charset: bytes) -> str:
    """Return what follows the VR in the JSON object of an element that is not a sequence."""
    if not value:
        return ""
    if vr in _BINARY:
        return _values(_numbers(vr, value))
    if vr == b"AT":
        tags = struct.iter_unpack("<HH", value[: len(value) // 4 * 4])
        return _values([f'"{group:04X}{number:04X}"' for group, number in tags])
    if vr not in _TEXT:
        return f',"InlineBinary":"{base64.b64encode(value).decode()}"'
    decoder = Charset(charset if vr in _LOCALISED else b"")
    return _values(_TEXT[vr](decoder.decode(value).rstrip(" \0")))


def _values(values: list[str]) -> str:
    return f',"Value":[{",".join(values)}]' if values and values != ["null"] else ""


def _numbers(vr: bytes, value: bytes) -> list[str]:
    code = _BINARY[vr]
    count = len(value) // struct.calcsize(code)
    found = struct.unpack(f"<{count}{code}", value[: count * struct.calcsize(code)])
    return [_float(number) if isinstance(number, float) else str(number) for number in found]


def _float(number: float) -> str:
    # JSON has no such numbers: PS3.18 F.2.3 gives them as strings
    if math.isfinite(number):
        return repr(number)
    return '"NaN"' if math.isnan(number) else '"inf"' if number > 0 else '"-inf"'


def _split(text: str) -> list[str]:
    return [_text(part) if (part := each.rstrip(" ")) else "null" for each in text.split("\\")]


def _whole(text: str) -> list[str]:
    return [_text(text)] if text else []


def _decimal(text: str) -> str:
    """Return a DS or IS as a JSON number, digit for digit where JSON allows it; as a string where it is no number."""
    if len(text) > _LONGEST_NUMBER:
        return _text(text)
    if _NUMBER.fullmatch(text):
        return text
    try:
        number = float(text)
    except ValueError:
        return _text(text)
    if not math.isfinite(number):
        return _text(text)
    return str(int(text)) if re.fullmatch(r"[+-]?[0-9]+", text) else repr(number)


def _decimals(text: str) -> list[str]:
    return [_decimal(part) if (part := each.strip()) else "null" for each in text.split("\\")]


def _person(text: str) -> str:
    groups = zip(_COMPONENTS, text.split("=")[:3], strict=False)
    named = {component: part for component, group in groups if (part := group.rstrip(" "))}
    return _text(named) if named else "null"


def _persons(text: str) -> list[str]:
    return [_person(each) for each in text.split("\\")]


_TEXT: dict[bytes, Callable[[str], list[str]]] = {
    **dict.fromkeys(b"AE AS CS DA DT LO SH TM UC UI".split(), _split),
    **dict.fromkeys(b"LT ST UR UT".split(), _whole),
    **dict.fromkeys(b"DS IS".split(), _decimals),
    b"PN": _persons,
}
_LOCALISED = frozenset(b"LO LT PN SH ST UC UT".split())
