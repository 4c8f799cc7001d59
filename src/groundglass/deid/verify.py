"""The independent verifier: raw bytes of an output, walked and judged by code and lists that the de-identifier lacks.

It imports nothing of `deid` (docs/decisions/0013). In the hospital it has the seeds; at the registry's inbox it repeats
everything that needs none. An empty answer is a pass; nothing else is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from struct import error as StructError
from struct import unpack_from

_LONG = frozenset({b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OD", b"OF", b"OL", b"OV", b"SV", b"UV"})
_WIDTH = {b"US": 2, b"SS": 2, b"UL": 4, b"SL": 4, b"FL": 4, b"FD": 8, b"AT": 4}
_META = re.compile(
    rb"\0{128}DICM\x02\0\0\0UL\x04\0(?P<length>.{4})"
    rb"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01"
    rb"\x02\0\x02\0UI(?P<n2>.)\0(?P<sop_class>[0-9.]{10,64})\0?"
    rb"\x02\0\x03\0UI(?P<n3>.)\0(?P<sop>2\.25\.[0-9]{30,39})\0?"
    rb"\x02\0\x10\0UI(?P<n4>.)\0(?P<syntax>1\.2\.840\.10008\.1\.2[0-9.]{0,8})\0?"
    rb"\x02\0\x12\0UI.\0(?P<implementation>2\.25\.215385618974414877543202349349384933954)\0?"
    rb"\x02\0\x13\0SH.\0GROUNDGLASS_[0-9.]{1,4} ?",
    re.DOTALL,
)
_EXPLICIT = b"1.2.840.10008.1.2.1"
_JPEG = re.compile(rb"1\.2\.840\.10008\.1\.2\.4\.(?:51|57|70|80|81)")
_J2K = re.compile(rb"1\.2\.840\.10008\.1\.2\.4\.9[01]")
_RLE = b"1.2.840.10008.1.2.5"
_PIXELS = 0x7FE00010
_MUST = (0x00080005, 0x00080016, 0x00080018, 0x00100010, 0x00100020, 0x0020000D, 0x0020000E, 0x00280010, 0x00280011,
         0x00120062, 0x00120063, 0x00120064, 0x00280303)  # fmt: skip
_ONE = r" *(?:[+-]?\d{0,7}(?:\.\d{0,14})?(?:[eE][+-]?\d{1,3})?)? *"
_CHECKS = {
    "date": r"(?:\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))?",
    "time": r"(?:(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\.\d{1,6})?)?",
    "datetime": r"(?:\d{8}(?:\d{6}(?:\.\d{1,6})?)?(?:[+-]\d{4})?)?",
    "pseudonym": r"[A-Z0-9-]{0,12}[0-9A-HJKMNP-TV-Z]{16}",
    "description": r"(?:TDM(?: (?:THORAX|ABDOMEN|PELVIS|COU|TETE|RACHIS))+)?",
    "number": rf"{_ONE}(?:\\{_ONE}){{0,15}}",
    "cs": r"[A-Z0-9_ -]{0,16}(?:\\[A-Z0-9_ -]{1,16}){0,7}",
    "slug": r"[A-Za-z0-9._ -]{0,64}",
}
# Forms that may be an identity in a text that should hold words of an apparatus.
_SUSPECT = re.compile(
    r"@|https?:|www\.|\d{5}|(?:\d[ .-]?){9}|\b(?:m|mr|mme|mlle|dr|pr|docteur|professeur|ne|nee|patient)\b[ .:]"
    r"|\b(?:19|20)\d\d[-/.]?(?:0[1-9]|1[0-2])[-/.]?(?:0[1-9]|[12]\d|3[01])\b|\b\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d\b"
)
_ENCODER = re.compile(rb"\x00\x01(?:Kakadu-|Created by OpenJPEG version )v?[0-9]{1,2}(?:\.[0-9]{1,2}){1,3}\x00?")
_WORD = re.compile(r"[^\W_]+")
_LIMIT = 20_000  # of remembered elements


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: a reason code, and the tag where it is (0: the file as a whole). It carries no value."""

    code: str
    tag: int


@dataclass(frozen=True, slots=True)
class NeedMore:
    """Call again with this many first bytes of the object."""

    length: int


@dataclass(frozen=True, slots=True)
class _Allowed:
    vrs: frozenset[bytes]
    check: str
    inside: dict[int, _Allowed] = field(default_factory=dict)


@cache
def _allow_list() -> dict[int, _Allowed]:
    top: dict[int, _Allowed] = {}
    for line in files("groundglass.deid").joinpath("verify_ct.tsv").read_text("utf-8").splitlines()[3:]:
        path, vr, check = line.split("\t")
        level, *rest = top, *path.split("/")
        for tag in rest[:-1]:
            level = level[int(tag, 16)].inside
        level[int(rest[-1], 16)] = _Allowed(frozenset(vr.encode().split(b"/")), check)
    return top


@cache
def _classes() -> frozenset[bytes]:
    return frozenset(files("groundglass.deid").joinpath("verify_classes.txt").read_bytes().splitlines()[1:])


@cache
def _pattern(check: str) -> re.Pattern[str]:
    if check.startswith("="):
        return re.compile(re.escape(check[1:]))
    return re.compile(check[1:] if check.startswith("!") else _CHECKS[check])


# Elements that were found clean, by the seeds that they were searched for; and lengths by the first eight bytes.
_clean: dict[tuple[bytes, ...], set[bytes]] = {}
_sizes: dict[bytes, tuple[int, int]] = {}


def check(head: bytes, size: int, *, seeds: tuple[bytes, ...] | list[bytes] = ()) -> tuple[Finding, ...] | NeedMore:
    """Judge the first bytes of an output of `size` bytes; empty when it may pass. Never raises for bad input.

    `seeds` are folded values of the original identity. NeedMore where the pixels are encapsulated or the header is
    longer than `head`.
    """
    head = head if isinstance(head, bytes) else bytes(head)
    try:
        return _check(head, size, tuple(seeds))
    except (StructError, IndexError):
        return NeedMore(min(size, 4 * len(head) + 132)) if len(head) < size else (Finding("truncated", 0),)
    except Exception:  # noqa: BLE001 -- what cannot be judged does not pass
        return (Finding("unreadable", 0),)


def _check(head: bytes, size: int, seeds: tuple[bytes, ...]) -> tuple[Finding, ...] | NeedMore:
    meta = _META.match(head)
    if meta is None:
        return NeedMore(min(size, 1024)) if len(head) < min(size, 512) else (Finding("identity_residue", 0x00020000),)
    if int.from_bytes(meta["length"], "little") != meta.end() - 144:
        return (Finding("conformance", 0x00020000),)
    clean = _clean.get(seeds)
    if clean is None:
        if len(_clean) > 64:
            _clean.clear()
        clean = _clean[seeds] = set()
    findings: list[Finding] = []
    seen: dict[int, bytes] = {}
    pos, last, tag = meta.end(), 0, 0
    while tag != _PIXELS:
        first = head[pos : pos + 8]
        length, tag = _sizes.get(first) or _size(head, pos)
        if tag <= last:
            findings.append(Finding("conformance", tag))
            return tuple(findings)
        last = tag
        if tag == _PIXELS:
            break
        raw = head[pos : pos + length]
        if raw not in clean:
            found = _judge(raw, tag, seeds)
            findings += found
            if not found and len(raw) == length:
                if len(clean) > _LIMIT:
                    clean.clear()
                clean.add(raw)
        if pos + length > len(head):
            raise IndexError
        seen[tag] = raw
        pos += length
    findings += _whole(seen, meta)
    pixels = _pixels(head, pos, size, seen, meta["syntax"])
    return pixels if isinstance(pixels, NeedMore) else tuple(findings) + pixels


def _size(head: bytes, pos: int) -> tuple[int, int]:
    """Length and tag of the element at `pos`; remembered where eight bytes tell the length."""
    group, number, vr, length = unpack_from("<HH2sH", head, pos)
    tag = group << 16 | number
    if tag == _PIXELS:
        return 12, tag
    if vr in _LONG:
        return 12 + unpack_from("<I", head, pos + 8)[0], tag
    if len(_sizes) > _LIMIT:
        _sizes.clear()
    _sizes[head[pos : pos + 8]] = (8 + length, tag)
    return 8 + length, tag


def _judge(raw: bytes, tag: int, seeds: tuple[bytes, ...]) -> list[Finding]:
    """Everything wrong with one top-level element."""
    allowed = _allow_list().get(tag)
    vr = raw[4:6]
    if allowed is None or vr not in allowed.vrs:
        return [Finding("identity_residue", tag)]
    if vr == b"SQ":
        return _judge_items(raw[12:], allowed, tag, seeds)
    return _judge_value(raw[8:], vr, allowed.check, tag, seeds)


def _judge_items(data: bytes, allowed: _Allowed, tag: int, seeds: tuple[bytes, ...]) -> list[Finding]:
    pos = 0
    findings: list[Finding] = []
    while pos < len(data):
        if data[pos : pos + 4] != b"\xfe\xff\x00\xe0":
            return [Finding("conformance", tag)]
        end = pos + 8 + int.from_bytes(data[pos + 4 : pos + 8], "little")
        if end > len(data):
            return [Finding("conformance", tag)]
        findings += _judge_item(data[pos + 8 : end], allowed, seeds)
        pos = end
    return findings


_CODE_ITEM = {
    0x00080100: _Allowed(frozenset({b"SH"}), r"![A-Za-z0-9][A-Za-z0-9.-]{0,15}"),
    0x00080102: _Allowed(frozenset({b"SH"}), r"!DCM|SCT|SRT|LN|RADLEX|UCUM|FMA"),
    0x00080104: _Allowed(frozenset({b"LO"}), r"![A-Za-z][A-Za-z0-9 ,.()/'&+:-]{0,63}"),
}


def _judge_item(data: bytes, allowed: _Allowed, seeds: tuple[bytes, ...]) -> list[Finding]:
    inside = _CODE_ITEM if allowed.check == "code" else allowed.inside
    pos, last = 0, 0
    findings: list[Finding] = []
    while pos < len(data):
        length, own = _size(data, pos)
        raw, vr = data[pos : pos + length], data[pos + 4 : pos + 6]
        rule = inside.get(own)
        if rule is None or vr not in rule.vrs or len(raw) != length or own <= last:
            return [*findings, Finding("identity_residue", own)]
        if vr == b"SQ":
            findings += _judge_items(raw[12:], rule, own, seeds)
        else:
            findings += _judge_value(raw[8:], vr, rule.check, own, seeds)
        pos, last = pos + length, own
    return findings


def _judge_value(value: bytes, vr: bytes, check: str, tag: int, seeds: tuple[bytes, ...]) -> list[Finding]:
    if vr == b"UI":
        return (
            [] if all(_good_uid(one, check) for one in value.rstrip(b"\0").split(b"\\")) else [Finding("bad_uid", tag)]
        )
    width = _WIDTH.get(vr)
    if width is not None:
        good = check == "binary" and len(value) % width == 0 and len(value) <= 128
        hidden = value.replace(b"\0", b"").lower()
        if any(seed in hidden for seed in seeds if len(seed) >= 6):
            return [Finding("seed_found", tag)]
        return [] if good else [Finding("identity_residue", tag)]
    try:
        text = value.decode("utf-8").rstrip(" ")
    except UnicodeDecodeError:
        return [Finding("charset", tag)]
    if check == "words":
        good = len(text) <= 1100 and text.isprintable() and not _SUSPECT.search(_fold(text))
    else:
        good = _pattern(check).fullmatch(text) is not None
    if not good:
        return [Finding("identity_residue", tag)]
    return [Finding("seed_found", tag)] if _names_someone(text, vr, seeds) else []


def _good_uid(value: bytes, check: str) -> bool:
    """A registered class where one belongs, else 2.25 with version 8 and variant bits (RFC 9562)."""
    if check == "class":
        return value in _classes()
    if not value:
        return True
    if not value.startswith(b"2.25.") or not value[5:].isdigit() or value[5:6] == b"0":
        return value.startswith(b"1.2.840.10008.1.4.") and len(value) <= 25  # a well-known frame of reference
    number = int(value[5:])
    return number < 1 << 128 and number >> 76 & 0xF == 8 and number >> 62 & 3 == 2


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe").replace("æ", "ae").replace("ß", "ss"))
    return "".join(c for c in plain if not unicodedata.combining(c))


def _names_someone(text: str, vr: bytes, seeds: tuple[bytes, ...]) -> bool:
    """Whether a seed stands in the text: as a word; joined, from six characters; as a whole number in a number."""
    if not seeds:
        return False
    if vr in (b"DA", b"TM", b"DT", b"AS"):
        return False  # their form is checked, and what they hold was moved
    if vr in (b"DS", b"IS"):
        whole = {number.strip(" +-").split(".")[0].encode() for number in text.split("\\")}
        return any(len(number) >= 6 and number in seeds for number in whole)
    words = _WORD.findall(_fold(text))
    joined, alone = "".join(words).encode(), {word.encode() for word in words}
    return any(seed in alone or (len(seed) >= 6 and seed in joined) for seed in seeds)


def _whole(seen: dict[int, bytes], meta: re.Match[bytes]) -> list[Finding]:
    """What only several elements tell: the statement is there, the same object in meta and data set."""
    findings = [Finding("conformance", tag) for tag in _MUST if tag not in seen]
    if not findings and (
        seen[0x00080018][8:].rstrip(b"\0") != meta["sop"]
        or seen[0x00080016][8:].rstrip(b"\0") != meta["sop_class"]
        or seen[0x00100010][8:] != seen[0x00100020][8:]
    ):
        findings.append(Finding("conformance", 0x00080018))
    if not _good_uid(meta["sop"], "uid"):
        findings.append(Finding("bad_uid", 0x00020003))
    return findings


def _pixels(head: bytes, pos: int, size: int, seen: dict[int, bytes], syntax: bytes) -> tuple[Finding, ...] | NeedMore:
    """The last element ends the file, and holds one image and nothing else."""
    vr, length = head[pos + 4 : pos + 6], unpack_from("<I", head, pos + 8)[0]
    start = pos + 12
    if syntax == _EXPLICIT:
        shape = [int.from_bytes(seen.get(tag, b"")[8:10], "little") for tag in (0x00280010, 0x00280011, 0x00280100)]
        exact = shape[0] * shape[1] * shape[2] // 8
        good = vr == b"OW" and length == exact and start + length == size and shape[2] == 16
        return () if good else (Finding("conformance", _PIXELS),)
    if vr != b"OB" or length != 0xFFFFFFFF:
        return (Finding("conformance", _PIXELS),)
    if len(head) < size:
        return NeedMore(size)
    stream = _joined(head, start)
    return () if stream is not None and _only_image(stream, syntax) else (Finding("stream_text", _PIXELS),)


def _joined(data: bytes, pos: int) -> bytes | None:
    """The fragments after an empty offset table, ended by the delimiter at the end of the file."""
    parts: list[bytes] = []
    while data[pos : pos + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(data[pos + 4 : pos + 8], "little")
        parts.append(data[pos + 8 : pos + 8 + length])
        pos += 8 + length
    ended = data[pos:] == b"\xfe\xff\xdd\xe0\0\0\0\0"
    return b"".join(parts) if ended and len(parts) > 1 and not parts[0] else None


def _only_image(stream: bytes, syntax: bytes) -> bool:
    """No segment that holds text, nothing after the end marker but the even-length zero."""
    if syntax == _RLE:
        return len(stream) > 64 and not any(stream[12:64]) and stream[:8] == b"\2\0\0\0\x40\0\0\0"
    end = stream[:-1] if stream.endswith((b"\xff\xd9\0", b"\xff\xd9\xff")) else stream
    if not end.endswith(b"\xff\xd9"):
        return False
    if _JPEG.fullmatch(syntax):
        text = re.search(rb"\xff[\xe0-\xef\xfe]", stream)
        return stream.startswith(b"\xff\xd8") and text is None and end.count(b"\xff\xd9") == 1
    if not _J2K.fullmatch(syntax) or not stream.startswith(b"\xff\x4f\xff\x51"):
        return False
    pos = 2
    while stream[pos : pos + 2] != b"\xff\x90":
        length = int.from_bytes(stream[pos + 2 : pos + 4], "big")
        comment = stream[pos + 4 : pos + 2 + length]
        if stream[pos] != 0xFF or (stream[pos + 1] == 0x64 and not _ENCODER.fullmatch(comment)):
            return False
        pos += 2 + length
    return True
