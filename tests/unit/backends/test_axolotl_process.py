"""What the Axolotl process finds around it, and that nothing of it is left when it was asked to end."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.backends import nodes, process_training
from engine.compute.profile import Ranks


def test_its_working_folder_links_to_what_the_config_names_and_to_nothing_else(
    tmp_path: Path,
) -> None:
    launch, folder = tmp_path / "launch", tmp_path / "work"
    for path in (launch, folder):
        path.mkdir()
    for name in (".numba_config.yaml", "matplotlibrc", "json.py", "sitecustomize.py"):
        (launch / name).touch()

    nodes.lay_out(folder, launch, ("output", "prepared"))

    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "train.jsonl", "validation.jsonl", "base_model"),
        *("output", "prepared", "events.jsonl"),
    }
    assert (folder / "output").is_dir()


def test_no_secret_and_no_folder_of_the_project_is_in_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", "cache")
    monkeypatch.setenv("NVIDIA_API_KEY", "secret")
    setting = SimpleNamespace(device=SimpleNamespace(threads=3, kind="cpu"))
    launch: Any = SimpleNamespace(folder=tmp_path, setting=setting, ranks=Ranks())

    found = process_training.environment(launch, {})

    assert "secret" not in found.values()
    assert Path(found["HF_HOME"]).is_absolute()
    assert not found["HF_HOME"].startswith(str(launch.folder))
    assert found["OMP_NUM_THREADS"] == "3"
