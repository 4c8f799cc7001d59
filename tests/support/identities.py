"""Search everything for identities that must not be there (security.md A16).

`residues` looks into files and bytes of any kind, inside ZIP members and gzip, in every encoding and letter case that
software could have turned a value into. It reports the place and the number of the value, never the value, so that a
failing test does not print an identity either.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

MINIMUM = 6
_GZIP = b"\x1f\x8b\x08"
# Runs of bytes that can be text in any one-byte encoding or UTF-8, and the same as UTF-16 in both orders. Pixels, which
# are nearly all of the bytes, hardly ever make such a run: this is what makes a search for hundreds of values quick.
_TEXT = re.compile(rb"[\x1b\x20-\x7e\x80-\xff]{%d,}" % MINIMUM)
_WIDE = re.compile(rb"(?:[\x20-\x7e\x80-\xff][\x00\x01]){%d,}" % MINIMUM)
_WIDE_BIG = re.compile(rb"(?:[\x00\x01][\x20-\x7e\x80-\xff]){%d,}" % MINIMUM)


def residues(where: Path | bytes | Iterable[Path | bytes], planted: Iterable[str | bytes]) -> list[str]:
    """Return "place: value number in encoding" for each planted value found; an empty list is a pass.

    Values shorter than six bytes are refused (ValueError): they would be found by chance.
    """
    search = _Search(planted)
    places = [where] if isinstance(where, Path | bytes) else where
    return sorted({finding for place in places for finding in search.place(place)})


class _Search:
    def __init__(self, planted: Iterable[str | bytes]) -> None:
        self.needles: dict[bytes, str] = {}
        for number, value in enumerate(planted):
            for name, needle in _spellings(value):
                self.needles.setdefault(needle.lower(), f"value {number} as {name}")
        if not self.needles:
            raise ValueError("nothing to search for: the test would pass whatever leaks")
        self.pattern = re.compile(_trie(sorted(self.needles)))

    def place(self, place: Path | bytes) -> Iterator[str]:
        if isinstance(place, bytes):
            yield from self.data("bytes", place)
        elif place.is_dir():
            for path in sorted(place.rglob("*")):
                yield from self.data("a path below the folder", str(path.relative_to(place)).encode("utf-8", "replace"))
                if path.is_file() and not path.is_symlink():
                    yield from self.file(path)
        else:
            yield from self.file(place)

    def file(self, path: Path) -> Iterator[str]:
        try:
            yield from self.data(path.name, path.read_bytes())
        except FileNotFoundError:
            # A running server removes files between the listing and the reading.
            return

    def data(self, name: str, data: bytes, depth: int = 0) -> Iterator[str]:
        yield from (f"{name}: {found}" for found in self._in(data))
        if depth < 4:
            for inner, content in _unpacked(data):
                yield from self.data(f"{name} > {inner}", content, depth + 1)

    def _in(self, data: bytes) -> Iterator[str]:
        for runs in (_TEXT, _WIDE, _WIDE_BIG):
            text = b"\n".join(runs.findall(data)).lower()
            for hit in self.pattern.finditer(text):
                if not _part_of_a_number(text, hit):
                    yield self.needles[hit.group()]


def _trie(needles: list[bytes], depth: int = 0) -> bytes:
    """Return one regular expression for sorted needles that tries each common beginning once: 20 times quicker."""
    groups = {letter: list(group) for letter, group in groupby(needles, key=lambda needle: needle[depth : depth + 1])}
    # A needle that is the beginning of others is found first, and then the longer ones need not be.
    if b"" in groups:
        return b""
    if len(needles) == 1:
        return re.escape(needles[0][depth:])
    branches = [re.escape(letter) + _trie(group, depth + 1) for letter, group in groups.items()]
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"


def _part_of_a_number(text: bytes, hit: re.Match[bytes]) -> bool:
    """Say whether a hit of digits only lies within a longer run of digits, where chance finds it (UIDs)."""
    if not hit.group().isdigit():
        return False
    return text[hit.start() - 1 : hit.start()].isdigit() or text[hit.end() : hit.end() + 1].isdigit()


def _spellings(value: str | bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (encoding, bytes): what to search for to find one value."""
    if isinstance(value, bytes):
        _long_enough(value)
        yield "given bytes", value
        return
    _long_enough(value.encode())
    cases = dict.fromkeys((value, value.upper(), value.lower(), value.title()))
    forms = dict.fromkeys(form for case in cases for form in (case, unicodedata.normalize("NFD", case), _plain(case)))
    for text in forms:
        for codec in ("utf-8", "cp1252", "iso8859_15", "utf-16-le", "utf-16-be"):
            yield from _as(text, codec)
        yield "JSON", json.dumps(text)[1:-1].encode()
        yield "URL", quote(text).encode()
    yield from _armoured(value.encode())
    yield from _swapped(value.encode("cp1252", "replace"))


def _long_enough(value: bytes) -> None:
    if len(value) < MINIMUM:
        raise ValueError(f"a value of {len(value)} bytes is too short to search for")


def _plain(text: str) -> str:
    folded = text.replace("œ", "oe").replace("Œ", "OE").replace("\u2019", "'")
    return "".join(mark for mark in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(mark))


def _as(text: str, codec: str) -> Iterator[tuple[str, bytes]]:
    try:
        yield codec, text.encode(codec)
    except UnicodeEncodeError:
        return


def _armoured(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "hexadecimal", value.hex().encode()
    for shift in range(3):
        # The ends of a base64 text depend on what stands before and after: only the middle is sure.
        middle = base64.b64encode(bytes(shift) + value)[4 if shift else 0 : -4]
        if len(middle) >= 2 * MINIMUM:
            yield "base64", middle


def _swapped(value: bytes) -> Iterator[tuple[str, bytes]]:
    for start in (0, 1):
        pairs = value[start : start + (len(value) - start) // 2 * 2]
        turned = bytearray(pairs)
        turned[0::2], turned[1::2] = pairs[1::2], pairs[0::2]
        if len(turned) >= MINIMUM and bytes(turned) != pairs:
            yield "swapped bytes", bytes(turned)


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:3] == _GZIP:
        try:
            yield "gzip", gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            return
    elif data[:4] == b"PK\3\4":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                # Stored members were searched as part of the file; their own containers were not.
                for member in archive.infolist():
                    yield member.filename, archive.read(member)
        except (zipfile.BadZipFile, zlib.error):
            return
