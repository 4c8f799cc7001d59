"""What the command says when something fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from groundglass import cli


def test_a_fault_of_the_system_is_one_sentence_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["groundglass", "audit", "verify", str(tmp_path / "DUPONT_JEAN.jsonl")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "groundglass: No such file or directory\n"
