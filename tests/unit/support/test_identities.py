"""The search for identities finds them wherever software puts them: a search that misses proves nothing."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from support.identities import residues

NAME = "d'Écumelune-Gribouillœil"
NOISE = random.Random(1).randbytes(100_000)


def zipped(content: bytes, method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("member", content)
    return out.getvalue()


@pytest.mark.parametrize(
    "hidden",
    [
        NAME.encode(),
        NAME.encode("cp1252"),
        NAME.upper().encode(),
        NAME.lower().encode("cp1252"),
        NAME.encode("utf-16-le"),
        NAME.encode("utf-16-be"),
        b"D'ECUMELUNE-GRIBOUILLOEIL",
        json.dumps(NAME).encode(),
        quote(NAME).encode(),
        base64.b64encode(b"x" + NAME.encode()),
        NAME.encode().hex().encode(),
        gzip.compress(NAME.encode()),
        zipped(NAME.encode(), zipfile.ZIP_DEFLATED),
        zipped(gzip.compress(NAME.encode()), zipfile.ZIP_STORED),
    ],
    ids=[
        "utf-8", "cp1252", "upper", "lower", "utf-16-le", "utf-16-be", "folded", "json", "url", "base64", "hex", "gzip",
        "zip", "gzip in zip",
    ],
)  # fmt: skip
def test_found_in_every_disguise(hidden: bytes) -> None:
    assert residues(hidden, [NAME])
    if hidden[:2] not in (b"\x1f\x8b", b"PK"):
        assert residues(NOISE + hidden + NOISE, [NAME])


def test_found_when_16_bit_words_were_swapped() -> None:
    value = b"XF12345678"
    swapped = bytes(value[index ^ 1] for index in range(len(value)))
    assert residues(NOISE + b"\0" + swapped + NOISE, ["XF12345678"])


def test_nothing_is_found_in_noise_or_in_longer_numbers() -> None:
    assert residues(NOISE, [NAME, "XF12345678"]) == []
    assert residues(b"2.25.1119410317222", ["19410317"]) == []
    assert residues(b"born 19410317.", ["19410317"])


def test_folders_are_searched_with_the_names_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "clean.txt").write_text("nothing")
    assert residues(tmp_path, [NAME]) == []
    (tmp_path / "a" / "log.txt").write_text(f"patient {NAME}")
    (tmp_path / NAME).write_text("")
    found = residues(tmp_path, ["nobody-else", NAME])
    assert any(finding.startswith("log.txt: value 1") for finding in found)
    assert any(finding.startswith("a path") for finding in found)
    assert NAME not in " ".join(found)


def test_a_search_that_could_not_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to search"):
        residues(NOISE, [])
    with pytest.raises(ValueError, match="too short"):
        residues(NOISE, ["Petit"])
