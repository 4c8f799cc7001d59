"""DIMSE commands (PS3.7 9.3, E.1): the few elements the door reads, and its answers."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from groundglass.gateway.dimse.pdu import HEADER, INVALID_VALUE, P_DATA, PDV, ProtocolError

C_STORE, C_ECHO, C_CANCEL = 0x0001, 0x0030, 0x0FFF
MAX_BYTES = 16 * 1024

SUCCESS = 0x0000
INVALID_INSTANCE = 0x0117
CLASS_NOT_SUPPORTED = 0x0122
UNRECOGNISED_OPERATION = 0x0211
PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000

_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<H")
_SOP_CLASS, _FIELD, _MESSAGE, _ANSWERED, _DATA_SET, _STATUS, _SOP_INSTANCE = (
    0x0002,
    0x0100,
    0x0110,
    0x0120,
    0x0800,
    0x0900,
    0x1000,
)
_NO_DATA_SET = 0x0101
_RESPONSE = 0x8000
_UID = re.compile(rb"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class Command:
    """A request. The UIDs are as received, without padding: check them with `is_uid` before use."""

    field: int
    message: int
    has_data_set: bool
    sop_class_uid: bytes
    sop_instance_uid: bytes


def decode(body: bytes) -> Command:
    """Read a command set, implicit little endian. Raises ProtocolError if it cannot be answered."""
    found = _elements(body)
    field, message, data_set = (_number(found, element) for element in (_FIELD, _MESSAGE, _DATA_SET))
    if field & _RESPONSE:
        raise ProtocolError(INVALID_VALUE)
    return Command(
        field,
        message,
        data_set != _NO_DATA_SET,
        _text(found, _SOP_CLASS),
        _text(found, _SOP_INSTANCE),
    )


def is_uid(value: bytes) -> bool:
    """Whether these are digits and dots, 64 at most: what is not is refused, never made to fit."""
    return _UID.fullmatch(value) is not None


def answer(context: int, command: Command, status: int) -> bytes:
    """Return the whole P-DATA-TF with the response to a command. UIDs that are none are not echoed."""
    elements = b"".join(
        (
            _uid(_SOP_CLASS, command.sop_class_uid),
            _ELEMENT.pack(0, _FIELD, 2) + _US.pack(command.field | _RESPONSE),
            _ELEMENT.pack(0, _ANSWERED, 2) + _US.pack(command.message),
            _ELEMENT.pack(0, _DATA_SET, 2) + _US.pack(_NO_DATA_SET),
            _ELEMENT.pack(0, _STATUS, 2) + _US.pack(status),
            _uid(_SOP_INSTANCE, command.sop_instance_uid),
        )
    )
    group = _ELEMENT.pack(0, 0, 4) + struct.pack("<I", len(elements))
    length = len(group) + len(elements) + 2
    return HEADER.pack(P_DATA, length + 4) + PDV.pack(length, context, 3) + group + elements


def _elements(body: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at, end = 0, len(body)
    while at < end:
        if end - at < _ELEMENT.size:
            raise ProtocolError(INVALID_VALUE)
        group, element, length = _ELEMENT.unpack_from(body, at)
        at += _ELEMENT.size
        if group != 0 or length > end - at:
            raise ProtocolError(INVALID_VALUE)
        found[element] = body[at : at + length]
        at += length
    return found


def _number(found: dict[int, bytes], element: int) -> int:
    value = found.get(element, b"")
    if len(value) != _US.size:
        raise ProtocolError(INVALID_VALUE)
    return int(_US.unpack(value)[0])


def _text(found: dict[int, bytes], element: int) -> bytes:
    return found.get(element, b"").rstrip(b"\0 ")


def _uid(element: int, value: bytes) -> bytes:
    if not is_uid(value):
        return b""
    padded = value + b"\0" * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(padded)) + padded
