"""Text of any declared, false or absent character set, for the identity only: what is kept is written as UTF-8."""

from __future__ import annotations

import codecs

_CODECS = {
    "": "ascii", "ISO_IR 6": "ascii", "ISO_IR 100": "latin_1", "ISO_IR 101": "iso8859_2", "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4", "ISO_IR 144": "iso8859_5", "ISO_IR 127": "iso8859_6", "ISO_IR 126": "iso8859_7",
    "ISO_IR 138": "iso8859_8", "ISO_IR 148": "iso8859_9", "ISO_IR 203": "iso8859_15", "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "tis_620", "ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk",
}  # fmt: skip
_ISO_2022 = {"87": "iso2022_jp", "159": "iso2022_jp_2", "149": "euc_kr", "58": "gb2312"}


def codec(declared: str) -> str | None:
    """The Python codec of a SpecificCharacterSet; None when it is not a defined term."""
    terms = [term.strip() for term in declared.split("\\")]
    for term in terms[1:]:
        found = _ISO_2022.get(term.removeprefix("ISO 2022 IR ").strip())
        if found:
            return found
    last = terms[-1] if len(terms) > 1 else terms[0]
    name = _CODECS.get(last.replace("ISO 2022 IR ", "ISO_IR "))
    return None if name is None else codecs.lookup(name).name


def decode(value: bytes, declared: str | None) -> tuple[str, bool]:
    """The text, and whether the declared codec could read it. Then UTF-8 is tried, then Windows-1252."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii"), True
    for name in (declared, "utf-8"):
        if name is not None:
            try:
                return value.decode(name), name == declared
            except UnicodeDecodeError:
                pass
    return value.decode("cp1252", "replace"), False
