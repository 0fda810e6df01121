"""A backend that is compiled for only: the verb writes its config, and a run is refused before anything is spent."""

import json
from pathlib import Path

import pytest
import yaml

from engine.cli.main import main

RECIPE = {
    "recipe": "v1",
    "name": "stories",
    "task": {"kind": "text", "input": "{text}"},
    "base_model": {
        "scratch": {
            "layers": 2,
            "width": 32,
            "heads": 2,
            "context": 64,
            "tokenizer": {"train": "byte_pairs", "size": 300},
        }
    },
    "data": {"sources": [{"path": "rows.jsonl"}]},
    "splits": {"train": 80, "validation": 20, "holdout": 20},
    "method": {"kind": "full", "keep": "last", "max_length": 64},
    "acceptance": {"metrics": {"bits_per_byte": {"max": 3}}},
    "export": {"formats": ["safetensors"]},
    "backend": {"name": "nanotron", "precision": "bf16"},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    rows = [json.dumps({"text": f"story {n} of a long day"}) for n in range(120)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    path = tmp_path / "stories.yaml"
    path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return path


def test_its_config_is_written(recipe: Path, tmp_path: Path) -> None:
    store = ["--store", str(tmp_path / "store")]

    assert main(["compile", str(recipe), "-o", str(tmp_path / "out"), *store]) == 0

    config = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text(encoding="utf-8"))
    assert config["model"]["model_config"]["num_hidden_layers"] == 2
    assert config["tokens"]["sequence_length"] == 64


def test_a_run_is_refused_before_a_row_is_read(
    recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"

    assert main(["run", str(recipe), "--store", str(store)]) == 3

    assert "B444" in capfd.readouterr().err
    assert not list(store.glob("store/*/*"))


def test_a_plan_says_that_a_run_is_refused_here(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(recipe), "--store", str(tmp_path / "store")]

    assert main(["plan", *words]) == 0
    assert "refused" in (out := capsys.readouterr().out)
    assert "B444" in out

    assert main(["plan", *words, "--format", "json"]) == 0
    [refused] = json.loads(capsys.readouterr().out)["refused"]
    assert "B444" in refused


def test_its_data_can_be_made(recipe: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"

    assert main(["run", str(recipe), "--store", str(store), "--until", "data"]) == 0

    assert list(store.glob("store/*/*"))
