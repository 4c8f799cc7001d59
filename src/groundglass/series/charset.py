"""Text of a data set by its Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1.2.5)."""

from __future__ import annotations

import re

_CODECS = {
    "": "ascii", "6": "ascii", "100": "iso8859_1", "101": "iso8859_2", "109": "iso8859_3", "110": "iso8859_4",
    "144": "iso8859_5", "127": "iso8859_6", "126": "iso8859_7", "138": "iso8859_8", "148": "iso8859_9",
    "203": "iso8859_15", "13": "shift_jis", "166": "tis_620", "192": "utf_8", "149": "euc_kr", "58": "gb2312",
    "GB18030": "gb18030", "GBK": "gbk", "87": "iso2022_jp", "159": "iso2022_jp_2",
}  # fmt: skip
# What each escape sequence switches to; for the multi-byte Japanese sets Python's codec wants the escape itself.
_ESCAPES = {
    b"\x1b(B": "ascii", b"\x1b-A": "iso8859_1", b"\x1b-B": "iso8859_2", b"\x1b-C": "iso8859_3", b"\x1b-D": "iso8859_4",
    b"\x1b-L": "iso8859_5", b"\x1b-G": "iso8859_6", b"\x1b-F": "iso8859_7", b"\x1b-H": "iso8859_8",
    b"\x1b-M": "iso8859_9", b"\x1b-b": "iso8859_15", b"\x1b-T": "tis_620", b"\x1b)I": "shift_jis",
    b"\x1b(J": "shift_jis",
    b"\x1b$)C": "euc_kr", b"\x1b$)A": "gb2312", b"\x1b$B": "iso2022_jp", b"\x1b$(D": "iso2022_jp_2",
}  # fmt: skip
_SPLIT = re.compile(rb"(?=\x1b(?:\([BJ]|-[A-HLMTb]|\)I|\$\)[AC]|\$B|\$\(D))")


class Charset:
    """The decoder of one value of Specific Character Set; what it cannot decode becomes U+FFFD."""

    __slots__ = ("_codec",)

    def __init__(self, value: bytes) -> None:
        first = value.decode("ascii", "replace").split("\\")[0].strip(" \0")
        self._codec = _CODECS.get(re.sub(r"^ISO[_ ](2022 )?IR ", "", first.replace("ISO_IR", "ISO IR")), "ascii")

    def decode(self, value: bytes) -> str:
        """Return the text, trailing padding included."""
        if b"\x1b" not in value:
            return value.decode(self._codec, "replace")
        return "".join(self._segment(segment) for segment in _SPLIT.split(value))

    def _segment(self, segment: bytes) -> str:
        for escape, codec in _ESCAPES.items():
            if segment.startswith(escape):
                text = segment if codec.startswith("iso2022") else segment[len(escape) :]
                return text.decode(codec, "replace")
        return segment.decode(self._codec, "replace")
