"""The Series Instance UID of a data set, from its first bytes, for grouping only: what is odd is simply not found."""

from __future__ import annotations

import struct

_SERIES_INSTANCE_UID = 0x0020000E
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_MAX_ELEMENTS = 4096

_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = frozenset(("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))


def find_series_uid(head: bytes, transfer_syntax: str) -> bytes:
    """Return the value without padding, or b"" if it is not in `head`, not plain, or deflated. Never raises."""
    if transfer_syntax in _DEFLATED:
        return b""
    order = ">" if transfer_syntax == _BIG_ENDIAN else "<"
    try:
        value = _walk(head, order, explicit=transfer_syntax != _IMPLICIT)
    except (struct.error, IndexError):
        return b""
    return value if len(value) <= 64 else b""


def _walk(head: bytes, order: str, *, explicit: bool) -> bytes:
    tag_of, u16, u32 = (struct.Struct(order + form).unpack_from for form in ("HH", "H", "I"))
    at = depth = 0
    # Inside an undefined-length UN everything is implicit little endian (PS3.5 6.2.2): not followed.
    for _ in range(_MAX_ELEMENTS):
        group, element = tag_of(head, at)
        tag = group << 16 | element
        vr = head[at + 4 : at + 6]
        if group == 0xFFFE or not explicit:
            start, length = at + 8, u32(head, at + 4)[0]
        elif vr in _LONG:
            start, length = at + 12, u32(head, at + 8)[0]
        else:
            start, length = at + 8, u16(head, at + 6)[0]
        if depth == 0 and tag >= _SERIES_INSTANCE_UID:
            found = tag == _SERIES_INSTANCE_UID and start + length <= len(head)
            return head[start : start + length].strip(b"\0 ") if found else b""
        if tag in (_ITEM_END, _SEQUENCE_END):
            depth -= 1
        elif length == _UNDEFINED:
            if vr == b"UN" and explicit and group != 0xFFFE:
                return b""
            depth += 1
        else:
            start += length
        at = start
    return b""
