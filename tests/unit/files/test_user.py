from pathlib import Path

import pytest

from engine.files.user import cache_folder, config_folder, state_folder


def test_folders_follow_the_xdg_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert config_folder() == tmp_path / "config" / "slm-recipe"
    assert state_folder() == tmp_path / "state" / "slm-recipe"
    assert cache_folder() == tmp_path / ".cache" / "slm-recipe"


def test_a_relative_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert state_folder() == tmp_path / ".local/state" / "slm-recipe"
