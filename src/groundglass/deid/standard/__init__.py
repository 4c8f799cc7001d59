"""The standard as data: our own tables, written by tools/make_deid_tables.py, read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a keep list. `needs` names the profile's `keep` value without which it is removed."""

    tag: int
    keyword: str
    vr: str
    type: str
    action: str
    needs: str
    basic: str
    options: str
    children: dict[int, Rule] = field(default_factory=dict, compare=False)


def rows(name: str) -> list[list[str]]:
    """The rows of a table below its comments and header."""
    lines = files(__name__).joinpath(name).read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")][1:]


@cache
def ct_image() -> dict[int, Rule]:
    """The keep list of CT Image Storage by tag; what a sequence keeps is in its `children`."""
    top: dict[int, Rule] = {}
    for path, keywords, vr, kind, action, needs, basic, options, _module in rows("ct_image.tsv"):
        tags = [int(part, 16) for part in path.split("/")]
        level = top
        for tag in tags[:-1]:
            level = level[tag].children
        level[tags[-1]] = Rule(tags[-1], keywords.rsplit("/", 1)[-1], vr, kind, action, needs, basic, options)
    return top


@cache
def registry_uids() -> frozenset[bytes]:
    """PS3.6: what stays as it is, because it names no instance."""
    return frozenset(row[0].encode() for row in rows("uids.tsv"))


@cache
def sop_classes() -> frozenset[bytes]:
    return frozenset(row[0].encode() for row in rows("uids.tsv") if row[1] == "SOP Class")


@cache
def code_meanings() -> dict[tuple[str, str], str]:
    return {(scheme, value): meaning for scheme, value, meaning in rows("codes.tsv")}


@cache
def terms() -> dict[str, frozenset[str]]:
    """What a term or word of an attribute may be, by keyword."""
    found: dict[str, set[str]] = {}
    for keyword, term in rows("terms.tsv"):
        found.setdefault(keyword, set()).add(term)
    return {keyword: frozenset(words) for keyword, words in found.items()}
