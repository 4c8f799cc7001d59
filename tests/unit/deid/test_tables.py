"""The tables: what is kept is in the IOD, reviewed, allowed by Annex E; the verifier's own list agrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword

from groundglass.deid import standard, verify
from groundglass.deid.standard import Rule
from support import shared

_SHIFTS, _CLEANS, _CHARACTERISTICS, _STRUCTURE = "113107=C", "113105=C", "113108=K", "113104=C"


def _rules() -> list[tuple[str, Rule]]:
    found: list[tuple[str, Rule]] = []

    def add(prefix: str, rules: dict[int, Rule]) -> None:
        for tag, rule in rules.items():
            found.append((f"{prefix}{tag:08X}", rule))
            add(f"{prefix}{tag:08X}/", rule.children)

    add("", standard.ct_image())
    return found


RULES = _rules()


def _allowed_by_annex_e(rule: Rule) -> bool:
    """The action is one of the Basic Profile's, or that of an option which the profiles claim."""
    if rule.basic == "-":
        return True
    by_action = {
        "date": _SHIFTS in rule.options or "Z" in rule.basic,
        "uid": "U" in rule.basic,
        "items": "U*" in rule.basic,
        "empty": "Z" in rule.basic,
        "accession": "Z" in rule.basic,
        "pseudonym": "Z" in rule.basic or "D" in rule.basic,
        "text": _CLEANS in rule.options,
        "words": _CLEANS in rule.options,
        "sex": _CHARACTERISTICS in rule.options,
        "age": _CHARACTERISTICS in rule.options,
        "serial": "D" in rule.basic,
        "zone": _SHIFTS in rule.options,
        "statement": "D" in rule.basic or "Z" in rule.basic,
        "code": _STRUCTURE in rule.options,
    }
    return by_action.get(rule.action, _CHARACTERISTICS in rule.options)


@pytest.mark.parametrize(("path", "rule"), RULES, ids=[path for path, _ in RULES])
def test_every_kept_attribute_is_allowed_by_annex_e(path: str, rule: Rule) -> None:
    assert _allowed_by_annex_e(rule), (rule.keyword, rule.basic, rule.options)
    assert tag_for_keyword(rule.keyword) == rule.tag
    assert dictionary_VR(rule.tag).split(" or ")[0] == rule.vr.replace("XS", "US")


def test_the_tables_follow_from_the_facts() -> None:
    """Row by row against the public tables: nothing kept outside the IOD, no Annex E action other than the newest."""
    newest = json.loads(shared.data("deid", "ps315", "basic_profile_2026c.json").read_text())
    iods = json.loads(shared.data("deid", "iod", "iod_attributes.json").read_text())
    annex = {tag: (basic, options) for tag, basic, options in standard.rows("annex_e.tsv")}
    for tag, row in newest.items():
        expected = row["action"].replace("_STAR", "*").replace("_", "/").replace("U/*", "U*")
        assert annex[tag.replace(",", "").upper()][0] == expected
    older = json.loads(shared.data("deid", "ps315", "confidentiality_profile_attributes.json").read_text())
    assert {row["id"].upper() for row in older} <= annex.keys()
    ct = iods["iods"][standard.CT_IMAGE]["modules"]
    top = {keyword for name, _, _ in ct for keyword in iods["modules"][name]}
    assert {rule.keyword for rule in standard.ct_image().values()} <= top
    for _, rule in RULES:
        assert (rule.basic, rule.options) == annex.get(f"{rule.tag:08X}", ("-", ""))


NEVER = [
    0x00880200, 0x04000500, 0x04000561, 0xFFFAFFFA, 0x4FFE0001, 0x54000100, 0x00420011, 0x00204000, 0x00104000,
    0x001021B0, 0x00102160, 0x00080080, 0x00081110, 0x00081111, 0x00081120, 0x00400275, 0x00100021, 0x00181004,
]  # fmt: skip


@pytest.mark.parametrize("tag", NEVER, ids=lambda tag: f"{tag:08X}")
def test_some_attributes_are_on_no_list(tag: int) -> None:
    assert tag not in standard.ct_image()
    assert tag not in verify._allow_list()


def test_no_private_group_is_on_a_list() -> None:
    assert not [tag for tag in (*standard.ct_image(), *verify._allow_list()) if tag >> 16 & 1]


def test_the_verifier_allows_what_is_kept_and_nothing_more() -> None:
    listed: dict[str, frozenset[bytes]] = {}

    def add(prefix: str, rules: dict) -> None:
        for tag, allowed in rules.items():
            listed[f"{prefix}{tag:08X}"] = allowed.vrs
            add(f"{prefix}{tag:08X}/", allowed.inside)

    add("", verify._allow_list())
    kept = {path: frozenset(rule.vr.replace("XS", "US/SS").encode().split(b"/")) for path, rule in RULES}
    assert listed == kept


def test_the_two_lists_of_classes_agree() -> None:
    assert verify._classes() == standard.sop_classes()


def test_terms_are_terms_and_words_are_folded() -> None:
    for keyword, words in standard.terms().items():
        vr = dictionary_VR(tag_for_keyword(keyword) or 0)
        assert all(len(word) <= 16 and word == word.upper() for word in words) or vr != "CS", keyword
        assert all(word == word.casefold() for word in words) or vr == "CS", keyword
    used = {rule.keyword for _, rule in RULES if rule.action in ("term", "words")}
    assert used <= standard.terms().keys()


def test_every_table_names_its_source_and_its_writer() -> None:
    folder = Path(standard.__file__).parent
    for path in folder.glob("*.tsv"):
        head = path.read_text("utf-8").splitlines()[:2]
        assert head[0].startswith("# PS3.") or "PS3.3" in head[0] or path.name == "terms.tsv", path.name
        assert "make_deid_tables" in head[1]
