"""The folder command: order, duplicates, conflicts, quarantine, ZIPs, and what it never leaves behind."""

from __future__ import annotations

import hashlib
import io
import json
import random
import stat
import zipfile
from pathlib import Path

import pytest

from groundglass.client import deidentify, sources
from groundglass.demo import phantom, variants
from groundglass.demo.elements import Part10
from groundglass.errors import NotFoundError, UsageError
from support import deid


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(deid.MASTER.hex() + "\n")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "DUPONT JEAN"
    folder.mkdir()
    return folder


def _slices(count: int = 3, seed: int = 1) -> list[Part10]:
    return list(phantom.objects(seed, slices=count, rows=16, columns=16))


def _fill(folder: Path, files: list[Part10]) -> None:
    for number, file in enumerate(files):
        (folder / f"DUPONT{number}.dcm").write_bytes(file.to_bytes())


def _tree(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def test_a_folder_becomes_a_tree_by_new_identifiers(source: Path, tmp_path: Path, key: Path) -> None:
    _fill(source, _slices())
    (source / "notes.txt").write_text("DUPONT")
    (source / "sub").mkdir()
    (source / "sub" / "empty").touch()
    out = tmp_path / "out"
    report = deidentify.run([source], out, key=key)
    assert report.counts == deidentify.Counts(3, 3, 0, 0, 0, 2)
    assert sorted(_tree(out)) == sorted(file.output or "" for file in report.files)
    for name in _tree(out):
        dataset = deid.dataset((out / name).read_bytes())
        parts = (
            dataset.PatientID,
            dataset.StudyInstanceUID,
            dataset.SeriesInstanceUID,
            f"{dataset.SOPInstanceUID}.dcm",
        )
        assert name == "/".join(parts)
    assert [file.n for file in report.files] == [0, 1, 2]


def test_one_key_gives_the_same_bytes_whatever_the_workers(source: Path, tmp_path: Path, key: Path) -> None:
    _fill(source, [*_slices(40), *_slices(3, seed=2), *_slices(2)])
    (source / "zz").write_bytes(variants.truncated(_slices(1, seed=4)[0]))
    trees, reports = [], []
    for number, workers in enumerate((1, 2)):
        out = tmp_path / f"out{number}"
        reports.append(deidentify.run([source], out, key=key, workers=workers).to_json())
        trees.append(_tree(out))
    assert trees[0] == trees[1]
    assert reports[0] == reports[1]
    assert len(trees[0]) == 41  # 43 instances; two share a UID with another content, and are not kept


def test_without_a_key_two_runs_have_nothing_in_common(source: Path, tmp_path: Path) -> None:
    _fill(source, _slices(1))
    names = [deidentify.run([source], tmp_path / str(n)).files[0].output for n in range(2)]
    assert not set((names[0] or "").split("/")) & set((names[1] or "").split("/"))


def test_the_same_object_twice_is_one_output_and_one_duplicate(source: Path, tmp_path: Path, key: Path) -> None:
    file = _slices(1)[0]
    _fill(source, [file, file])
    report = deidentify.run([source], tmp_path / "out", key=key)
    assert report.counts == deidentify.Counts(2, 1, 0, 0, 1, 0)
    assert report.files[1].code == "duplicate"
    assert len(_tree(tmp_path / "out")) == 1


def test_one_uid_with_two_contents_keeps_neither(source: Path, tmp_path: Path, key: Path) -> None:
    file = _slices(1)[0]
    _fill(source, [file, variants.other_pixels(file), file])
    held = tmp_path / "held"
    report = deidentify.run([source], tmp_path / "out", key=key, quarantine=held)
    assert report.counts == deidentify.Counts(3, 0, 3, 0, 0, 0)
    assert {found.code for found in report.files} == {"uid_conflict"}
    assert _tree(tmp_path / "out") == {}
    assert (held / "0" / "original").read_bytes() == file.to_bytes()
    assert (held / "1" / "original").read_bytes() == variants.other_pixels(file).to_bytes()


def test_two_patients_in_one_study_hold_back_the_stranger(source: Path, tmp_path: Path, key: Path) -> None:
    first, second = _slices(2)
    _fill(source, [first, deid.with_elements(second, (0x00100020, "LO", "AUTRE 99"))])
    report = deidentify.run([source], tmp_path / "out", key=key)
    assert [found.code for found in report.files] == [None, "wrong_subject"]
    assert len(_tree(tmp_path / "out")) == 1


def test_quarantine_holds_the_original_and_its_reason(source: Path, tmp_path: Path, key: Path) -> None:
    file = variants.localizer(_slices(1)[0])
    _fill(source, [file])
    held = tmp_path / "held"
    report = deidentify.run([source], tmp_path / "out", key=key, quarantine=held)
    assert report.counts.quarantined == 1
    assert (held / "0" / "original").read_bytes() == file.to_bytes()
    assert json.loads((held / "0" / "reason.json").read_text()) == {
        "code": "burned_in_text",
        "grade": "review",
        "message": "Du texte peut être incrusté dans l'image.",
    }


def test_nothing_is_copied_without_a_quarantine_and_nothing_at_all_in_a_dry_run(source: Path, tmp_path: Path) -> None:
    _fill(source, [*_slices(2), variants.localizer(_slices(1, seed=5)[0])])
    before = sorted(tmp_path.rglob("*"))
    report = deidentify.run([source], tmp_path / "out", dry_run=True)
    assert report.counts == deidentify.Counts(3, 2, 1, 0, 0, 0)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_named_and_no_dicom_is_refused(tmp_path: Path, key: Path) -> None:
    note = tmp_path / "notes.txt"
    note.write_text("bonjour")
    report = deidentify.run([note], tmp_path / "out", key=key)
    assert report.counts == deidentify.Counts(1, 0, 0, 1, 0, 0)
    assert report.files[0].code == "not_dicom"


def test_report_and_statements_name_no_input(source: Path, tmp_path: Path, key: Path) -> None:
    _fill(source, _slices(2))
    report, statements = tmp_path / "r" / "report.json", tmp_path / "statements"
    deidentify.run([source], tmp_path / "out", key=key, report=report, statements=statements)
    texts = [report.read_text(), *(path.read_text() for path in statements.iterdir())]
    assert not [text for text in texts if "DUPONT" in text or str(tmp_path) in text]
    found = json.loads(texts[0])
    assert sorted(found) == ["counts", "files", "profile"]
    assert sorted(found["files"][0]) == ["code", "grade", "n", "output"]
    assert json.loads(texts[1])["instances"] == 2


def _zip(path: Path, members: dict[str, bytes], **more: int) -> Path:
    with zipfile.ZipFile(path, "w", **more) as archive:  # type: ignore[arg-type]
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_zip_is_read_like_a_folder(tmp_path: Path, source: Path, key: Path) -> None:
    files = _slices(3)
    _fill(source, files)
    members = {f"../../etc/DUPONT{n}.dcm": file.to_bytes() for n, file in enumerate(files)}
    packed = _zip(tmp_path / "exam.zip", {**members, "readme.txt": b"x"}, compression=zipfile.ZIP_DEFLATED)
    from_folder = deidentify.run([source], tmp_path / "a", key=key)
    from_zip = deidentify.run([packed], tmp_path / "b", key=key)
    assert _tree(tmp_path / "a") == _tree(tmp_path / "b")
    assert from_zip.files == from_folder.files
    assert from_zip.counts.ignored == 1


def _bad_zips(folder: Path) -> list[Path]:
    data = _slices(1)[0].to_bytes()
    many = _zip(folder / "many.zip", {f"{n}": b"" for n in range(sources.MAX_ENTRIES + 1)})
    link = folder / "link.zip"
    with zipfile.ZipFile(link, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "../../etc/passwd")
    cut = folder / "cut.zip"
    cut.write_bytes(_zip(folder / "whole.zip", {"a": data}).read_bytes()[:-200])
    overlapping = folder / "overlapping.zip"
    whole = bytearray(_zip(folder / "two.zip", {"a": data, "b": data}).read_bytes())
    second = whole.rfind(b"PK\x01\x02")
    whole[second + 42 : second + 46] = bytes(4)
    overlapping.write_bytes(whole)
    encrypted = folder / "encrypted.zip"
    whole = bytearray((folder / "whole.zip").read_bytes())
    whole[whole.rfind(b"PK\x01\x02") + 8] |= 1
    encrypted.write_bytes(whole)
    return [many, link, cut, overlapping, encrypted]


def test_hostile_archives_are_refused_whole(tmp_path: Path, key: Path) -> None:
    for path in _bad_zips(tmp_path):
        report = deidentify.run([path], tmp_path / "out", key=key)
        assert report.counts == deidentify.Counts(1, 0, 0, 1, 0, 0), path.name
    assert not (tmp_path / "out").exists()


def test_an_entry_larger_than_it_says_and_a_nested_zip_are_refused(tmp_path: Path, key: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a", _slices(1)[0].to_bytes())
    nested = _zip(tmp_path / "nested.zip", {"inner.zip": inner.getvalue()})
    lying = bytearray(_zip(tmp_path / "bomb.zip", {"a": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED).read_bytes())
    at = lying.rfind(b"PK\x01\x02")
    lying[at + 24 : at + 28] = (100).to_bytes(4, "little")
    (tmp_path / "bomb.zip").write_bytes(lying)
    for path in (nested, tmp_path / "bomb.zip"):
        report = deidentify.run([path], tmp_path / "out", key=key)
        assert report.counts.refused == 1, path.name


def test_a_damaged_entry_is_held_back_and_its_neighbours_are_not(tmp_path: Path, key: Path) -> None:
    good = _slices(1)[0].to_bytes()
    noise = random.Random(1).randbytes(5_000).hex().encode()
    whole = _zip(tmp_path / "exam.zip", {"a": noise, "b": good}, compression=zipfile.ZIP_DEFLATED).read_bytes()
    (tmp_path / "exam.zip").write_bytes(whole[:200] + bytes(byte ^ 0xFF for byte in whole[200:400]) + whole[400:])
    report = deidentify.run([tmp_path / "exam.zip"], tmp_path / "out", key=key, quarantine=tmp_path / "held")
    assert [file.code for file in report.files] == ["unreadable", None]
    assert [path.name for path in (tmp_path / "held" / "0").iterdir()] == ["reason.json"]


def test_links_in_a_folder_are_not_followed(source: Path, tmp_path: Path, key: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    _fill(elsewhere, _slices(1))
    (source / "link").symlink_to(elsewhere)
    (source / "file").symlink_to(elsewhere / "DUPONT0.dcm")
    assert deidentify.run([source], tmp_path / "out", key=key).counts.read == 0


def test_what_cannot_be_started_says_why(tmp_path: Path, source: Path) -> None:
    short = tmp_path / "short"
    short.write_text("abcd")
    with pytest.raises(UsageError, match="64 hexadecimal"):
        deidentify.run([source], tmp_path / "out", key=short)
    with pytest.raises(UsageError, match="no such profile"):
        deidentify.run([source], tmp_path / "out", profile="nobody")
    with pytest.raises(NotFoundError):
        deidentify.run([tmp_path / "absent"], tmp_path / "out")


def test_a_custom_profile_file_works_and_is_described(source: Path, tmp_path: Path, key: Path) -> None:
    _fill(source, _slices(1))
    folder = Path(deidentify.profiles.__file__).parent / "profiles"
    own = tmp_path / "own.toml"
    own.write_text(
        (folder / "fidac-anonyme.toml").read_text().replace('"fidac-anonyme"', '"mine"').replace("FID-", "M-")
    )
    report = deidentify.run([source], tmp_path / "out", key=key, profile=str(own))
    assert (report.files[0].output or "").startswith("M-")
    assert "mine 1" in deidentify.describe(str(own), "fr")


def test_a_copy_of_a_file_that_ends_early_is_an_error(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"abc")
    with short.open("rb") as source, (tmp_path / "out").open("wb") as target, pytest.raises(EOFError):
        deidentify.copy(source.fileno(), target.fileno(), deidentify.Span(0, 10))


def test_no_half_written_file_stays_when_the_disk_is_full(
    source: Path, tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(source, _slices(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deidentify, "copy", full)
    with pytest.raises(OSError, match="No space"):
        deidentify.run([source], tmp_path / "out", key=key)
    assert _tree(tmp_path / "out") == {}
