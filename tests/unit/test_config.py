"""Settings: TOML, then the environment; unknown keys are refused by name and no value is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundglass import config
from groundglass.errors import UsageError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("GROUNDGLASS_"):
            monkeypatch.delenv(name)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "groundglass.toml").write_text('[gateway]\nsettle_seconds = 9\ncollection = "one"\n')
    monkeypatch.setenv("GROUNDGLASS_GATEWAY__SETTLE_SECONDS", "2")
    settings = config.load(tmp_path)
    assert settings.gateway.settle_seconds == 2
    assert settings.gateway.collection == "one"


def test_lists_are_comma_separated_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDGLASS_GATEWAY__ALLOWED_AETS", "CT1, CT2=NORD")
    assert config.load(tmp_path).gateway.allowed_aets == ["CT1", "CT2=NORD"]


@pytest.mark.parametrize(
    ("name", "where"),
    [("GROUNDGLASS_DATABASE_URL", "registry"), ("GROUNDGLASS_GATEWAY__DATABASE_URL", "gateway")],
)
def test_database_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str) -> None:
    monkeypatch.setenv(name, "postgresql://db.example.org/x")
    assert getattr(config.load(tmp_path), where).database_url == "postgresql://db.example.org/x"


@pytest.mark.parametrize(
    "text", ["[gateway]\nsetle_seconds = 1\n", "[gatway]\n", "data = '/x'\n", "[gateway]\nsettle_seconds = 'soon'\n"]
)
def test_an_unknown_or_wrong_key_of_the_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "groundglass.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        config.load(tmp_path)
    assert "soon" not in str(caught.value)


@pytest.mark.parametrize("name", ["GROUNDGLASS_GATEWAY__NOTHING", "GROUNDGLASS_NOTHING__X", "GROUNDGLASS_NOTHING"])
def test_an_unknown_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "secret-value")
    with pytest.raises(UsageError) as caught:
        config.load(tmp_path)
    assert "secret-value" not in str(caught.value)


def test_broken_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "groundglass.toml").write_text("[gateway\n")
    with pytest.raises(UsageError, match="not valid TOML"):
        config.load(tmp_path)


def test_the_folder_is_given_or_named_or_the_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load(tmp_path).data == tmp_path
    monkeypatch.setenv("GROUNDGLASS_DATA", str(tmp_path / "named"))
    assert config.load().data == tmp_path / "named"
