"""What the command says when something fails."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest

from groundglass import cli
from groundglass.cli import doctor, serve
from groundglass.config import Settings
from groundglass.core import jobs
from groundglass.errors import UsageError


def test_a_fault_of_the_system_is_one_sentence_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["groundglass", "audit", "verify", str(tmp_path / "DUPONT_JEAN.jsonl")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "groundglass: No such file or directory\n"


@pytest.mark.parametrize("title", ["", "SEVENTEEN_LETTERS", "BACK\\SLASH", " LED"])
def test_a_door_that_nobody_could_call_is_not_opened(tmp_path: Path, title: str) -> None:
    with pytest.raises(UsageError, match="aet"):
        serve.serve(tmp_path, aet=title)


def test_doctor_names_the_jobs_that_are_held(settings: Settings, gateway_db: psycopg.Connection) -> None:
    jobs.defer(gateway_db, "gateway.send", queue="gateway", queueing_lock="send:1", intake_id=1)
    gateway_db.execute("UPDATE procrastinate_jobs SET status = 'failed'")
    gateway_db.commit()
    (fault,) = doctor._jobs(settings)
    assert "gateway.send" in fault.what
