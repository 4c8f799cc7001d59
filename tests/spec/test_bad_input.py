"""Whatever comes in gets a clear answer, alone, and a good series beside it is archived.

Each kind of bad input is sent by a sender of its own, so that its account shows its reason; and once more to the folder
command, which must judge it alike.
"""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from groundglass.deid import reasons
from groundglass.demo import identities, phantom, planting, sender, variants
from groundglass.demo.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Element, Part10
from groundglass.demo.sender import Outgoing
from groundglass.gateway.dimse.storing import file_header
from support.sending import outgoing, peer, send
from support.stack import ROLES, Stack

ARCHIVED = ""
DOOR_CALLERS = 4
HOSTILE_UIDS = (
    *("../../etc/passwd", "..", ".", "/", "1.2/3", "1.2\\3", "1..2", "1.2.", ".1.2", "01.2", "1.2\n3", "1.2\x003"),
    *(
        "1.2;ls",
        "$(id)",
        "`id`",
        "%2e%2e%2f",
        "1.2 3",
        "\u00e9",
        "1" * 65,
        "1.2." + "9" * 61,
        "-rf",
        "CON",
        "a|b",
        "~root",
    ),
)
HOSTILE_TITLES = ("../../../ETC", "A/B", "$(id)", "`id`", "A\nB", "A;B", "..", "\x1b[2J", "<script>", "' OR 1=1")
_TAME = re.compile(r"[A-Za-z0-9._-]+")


def one(seed: int, **more: str) -> Part10:
    return next(phantom.objects(seed, slices=1, rows=32, columns=32, **{"syntax": EXPLICIT_LITTLE, **more}))


def holding(seed: int, data_set: bytes) -> Outgoing:
    return dataclasses.replace(outgoing(one(seed)), data_set=data_set)


def named(seed: int, charset: str, name: bytes) -> Outgoing:
    """One instance whose patient's name are these bytes under that character set."""
    file = one(seed)
    changed = file.with_elements(Element(0x00080005, "CS", charset), Element(0x00100010, "PN", name))
    return outgoing(dataclasses.replace(file, elements=tuple(sorted(changed, key=lambda element: element.tag))))


def private_sequence(seed: int) -> Outgoing:
    file = one(seed, syntax=IMPLICIT_LITTLE)
    return outgoing(planting.plant(file, identities.person(seed), places=["private-sequence", "private-unknown"]))


def bad_input() -> Mapping[str, tuple[Outgoing, str]]:
    """Return name -> (what is sent, the code that it must get)."""
    pixels, head = outgoing(one(801)), outgoing(one(802))
    return {
        "EMPTY": (holding(803, b""), "conformance"),
        "TEXT": (holding(804, b"ceci n'est pas une image\n"), "unreadable"),
        "ZEROS": (holding(805, bytes(4096)), "unreadable"),
        "PICTURE": (holding(806, b"\x89PNG\r\n\x1a\n" + bytes(range(256))), "unreadable"),
        "CUT_IN_PIXELS": (dataclasses.replace(pixels, data_set=pixels.data_set[:-500]), "truncated"),
        "CUT_IN_HEADER": (dataclasses.replace(head, data_set=head.data_set[:333]), "truncated"),
        "BEYOND_THE_END": (sender.parse(variants.length_beyond_end(one(807))), "truncated"),
        "3_GB_CLAIMED": (sender.parse(variants.huge_multiframe(one(808))), "sop_class_unknown"),
        "DEEP": (sender.parse(variants.deep(one(809))), "too_large"),
        "LATIN_AS_UTF8": (named(810, "ISO_IR 192", b"CR\xc9MIEUX^\xc9l\xe9onore "), ARCHIVED),
        "ISO_2022": (named(811, "\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B "), ARCHIVED),
        "GB18030": (named(812, "GB18030", b"\xd0\xa1^\xc3\xf7 "), ARCHIVED),
        "UNKNOWN_CHARSET": (named(813, "ISO_IR 999", b"QAPLA^X "), ARCHIVED),
        "TORN_ESCAPE": (named(814, "\\ISO 2022 IR 87", b"\x1b$B;3E"), ARCHIVED),
        "PRIVATE_SQ": (private_sequence(815), ARCHIVED),
    }


def part10(sent: Outgoing) -> bytes:
    names = (sent.sop_class_uid, sent.sop_instance_uid, sent.transfer_syntax_uid)
    return file_header(*(name.encode() for name in names)) + sent.data_set


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("bad")) as running:
        yield running
        assert not running.events("child-ended"), "an input ended a process"


def deidentify(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("groundglass")
    return subprocess.run([command, "deidentify", *arguments], capture_output=True, text=True, timeout=250, check=False)


def test_each_kind_of_bad_input_gets_its_reason_and_a_good_series_passes(stack: Stack) -> None:
    pids, bad = {role: stack.pid_of(role) for role in ROLES}, bad_input()
    good = list(phantom.objects(800, slices=10, rows=64, columns=64))
    with ThreadPoolExecutor(DOOR_CALLERS) as pool:
        beside = pool.submit(send, stack, good, calling="GOOD")
        answers = pool.map(lambda each: sender.send(peer(stack, calling=each[0]), [each[1][0]]), bad.items())
        assert list(answers) == [[0]] * len(bad)
        assert beside.result() == [0] * len(good)
    stack.wait_quiet(len(bad) + len(good))
    senders = stack.ledger()["senders"]
    assert senders["GOOD"]["archived"] == len(good)
    for name, (_, code) in bad.items():
        assert senders[name]["reasons"] == ({code: 1} if code else {}), name
        assert senders[name]["archived"] == (0 if code else 1), name
    assert {role: stack.pid_of(role) for role in ROLES} == pids


def test_the_folder_command_judges_alike(tmp_path: Path) -> None:
    bad, source, kept = bad_input(), tmp_path / "in", tmp_path / "held"
    source.mkdir()
    for name, (sent, _) in bad.items():
        (source / f"{name}.dcm").write_bytes(part10(sent))
    done = deidentify(source, "--out", tmp_path / "out", "--quarantine", kept, "--report", tmp_path / "report.json")
    assert done.returncode == 3, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert [one["code"] or "" for one in report["files"]] == [code for _, (_, code) in sorted(bad.items())]
    for entry in report["files"]:
        if entry["code"]:
            reason = json.loads((kept / str(entry["n"]) / "reason.json").read_text())
            assert reason["code"] == entry["code"]
            assert reason["message"] == reasons.message(entry["code"], "fr")


def test_what_is_no_dicom_is_ignored_in_a_folder_and_refused_when_named(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "good.dcm").write_bytes(one(820).to_bytes())
    names = [name for name, content in variants.not_dicom() if (source / name).write_bytes(content) + 1]
    assert deidentify(source, "--out", tmp_path / "out").returncode in (0, 3)
    for name in names:
        done = deidentify(source / name, "--out", tmp_path / "none", "--report", tmp_path / "report.json")
        assert done.returncode == 3, (name, done.stderr)
        (entry,) = json.loads((tmp_path / "report.json").read_text())["files"]
        assert entry["code"] in reasons.REASONS, name
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


def test_files_of_an_unknown_syntax_or_with_a_path_for_a_uid_are_held_back(tmp_path: Path) -> None:
    source, file = tmp_path / "in", one(821)
    source.mkdir()
    (source / "0.dcm").write_bytes(variants.unknown_syntax(file))
    (source / "1.dcm").write_bytes(variants.without_meta(file))
    for index, uid in enumerate(uid for uid in HOSTILE_UIDS if uid.isascii()):
        (source / f"9{index:02}.dcm").write_bytes(variants.with_uid(file, uid).to_bytes())
    deidentify(source, "--out", tmp_path / "deep" / "out", "--report", tmp_path / "report.json")
    entries = json.loads((tmp_path / "report.json").read_text())["files"]
    assert entries[0]["code"] == "unsupported_transfer_syntax"
    assert entries[1]["code"] in (None, "unreadable", "not_dicom")
    assert {entry["code"] for entry in entries[2:]} <= {"bad_uid", None, "duplicate", "uid_conflict", "conformance"}
    assert sum(entry["code"] == "bad_uid" for entry in entries) >= len(HOSTILE_UIDS) // 2
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "deep", "report.json"}
    must_be_tame(tmp_path / "deep")


def test_a_transfer_syntax_that_nobody_knows_is_not_negotiated(stack: Stack) -> None:
    pairs = [(sender.CT_IMAGE_STORAGE, "2.25.123456"), (sender.CT_IMAGE_STORAGE, EXPLICIT_LITTLE)]
    with sender.Association(peer(stack, calling="SYNTAX"), pairs) as association:
        assert list(association.accepted.values()) == [EXPLICIT_LITTLE]


def test_hostile_names_at_every_door_reach_no_path_and_start_nothing(stack: Stack) -> None:
    before = children(stack)
    file = outgoing(one(830))
    for uid in HOSTILE_UIDS:
        try_to_send(stack, dataclasses.replace(file, sop_instance_uid=uid), calling="HOSTILE")
    for title in HOSTILE_TITLES:
        try_to_send(stack, file, calling=title)
    with stack.client("curator") as curator, stack.client("gateway") as gateway:
        for name in HOSTILE_UIDS:
            part = quote(name, safe="")
            for client, path in (
                *((curator, f"/dicom-web/studies/{part}{rest}") for rest in ("/metadata", f"/series/{part}/metadata")),
                (curator, f"/api/v1/series/{part}/package"),
                (gateway, f"/api/v1/inbox/packages/{part}/receipt"),
            ):
                assert 400 <= client.get(path).status_code < 500, path
    stack.wait_quiet()
    assert children(stack) == before
    must_be_tame(stack.data)
    assert {path.name for path in stack.data.parent.iterdir()} == {"data", "logs"}
    assert send(stack, [one(831)], calling="AFTER") == [0]


def try_to_send(stack: Stack, file: Outgoing, *, calling: str) -> None:
    try:
        sender.send(peer(stack, calling=calling), [file])
    except (sender.SendError, OSError, ValueError):
        return


def children(stack: Stack) -> set[str]:
    """Return the programs that run, without the database's own processes, which come and go."""
    found = (process.cmdline() for process in psutil.Process(stack.pid).children(recursive=True))
    return {" ".join(line[:3]) for line in found if line and not line[0].startswith("postgres")}


def must_be_tame(folder: Path) -> None:
    wild = [path for path in folder.rglob("*") if not all(map(_TAME.fullmatch, path.relative_to(folder).parts))]
    assert not wild, f"{len(wild)} names that an input made"


def test_one_uid_with_two_contents(stack: Stack) -> None:
    files = list(phantom.objects(840, slices=3, rows=32, columns=32))
    assert send(stack, [*files, variants.other_pixels(files[0])], calling="TWICE") == [0] * 4
    together = stack.wait_quiet(4, sender="TWICE")
    assert (together["archived"], together["reasons"]) == (2, {"uid_conflict": 2})
    assert send(stack, [variants.other_pixels(files[1])], calling="TWICE") == [0]
    late = stack.wait_quiet(5, sender="TWICE")
    assert (late["archived"], late["reasons"]) == (2, {"uid_conflict": 3})


def test_a_thousand_tiny_instances(stack: Stack) -> None:
    files = [outgoing(file) for file in phantom.objects(850, slices=1000, rows=8, columns=8)]
    assert sender.send(peer(stack, calling="TINY"), files, associations=4) == [0] * 1000
    assert stack.wait_quiet(1000, sender="TINY", seconds=60)["archived"] == 1000


def test_ten_thousand_tiny_files_in_one_folder(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(10_000):
        (source / f"{number:05}").write_bytes(b"\0" * (number % 300))
    for number, file in enumerate(phantom.objects(860, slices=50, rows=8, columns=8)):
        (source / f"{number * 150:05}").write_bytes(file.to_bytes())
    done = deidentify(source, "--out", tmp_path / "out", "--report", tmp_path / "report.json", "--workers", "2")
    counts = json.loads((tmp_path / "report.json").read_text())["counts"]
    assert (counts["written"], counts["ignored"] + counts["refused"]) == (50, 9_950), counts
    assert done.returncode == (3 if counts["refused"] else 0)
