"""Forgetting with the real base model: a training that is too long and too fast is refused, a usual one is not.

Two trainings, so only where it is asked for:

    RECIPE_LONG=1 pytest -m slow tests/slow/test_forgetting.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "RECIPE_LONG" not in os.environ, reason="takes two trainings: RECIPE_LONG=1"
    ),
]

SHORT: dict[str, Any] = {
    "splits": {"by": "stratified", "train": 64, "validation": 16, "holdout": 40, "seed": 7},
    "baselines": ["majority"],
    "stop_if_baseline_passes": False,
    "backend": {"name": "trl", "precision": "auto"},
    "export": {"formats": ["safetensors"]},
    "acceptance": {
        "metrics": {"macro_f1": {"min": 0.01}},
        "decide_on": "lower_bound",
        "forgetting": {"max_drop": 0.05},
    },
}
"""The quickstart's model and task on fewer rows, nothing bound but what is forgotten."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store: the base model is unpacked, and asked, once."""
    return tmp_path_factory.mktemp("forgetting") / "store"


def run(root: Path, folder: Path, store: Path, **method: Any) -> dict[str, Any]:
    """Run the recipe until its gate and return the report."""
    recipe = yaml.safe_load((root / "recipes" / "quickstart.yaml").read_text(encoding="utf-8"))
    recipe |= SHORT
    recipe["method"] |= {"batch_size": 8, "micro_batch_size": 8, **method}
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    words = ["run", str(file), "--until", "gate", "--store", str(store), "--format", "json"]
    result = subprocess.run(
        [sys.executable, "-m", "engine", *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode in (0, 1), result.stderr + result.stdout[-4000:]
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def gate_check(found: dict[str, Any]) -> dict[str, Any]:
    (check,) = [one for one in found["gate"]["checks"] if one["name"] == "forgetting"]
    return dict(check)


def test_a_training_too_long_and_too_fast_learns_its_task_and_is_refused(
    root: Path, tmp_path: Path, store: Path
) -> None:
    found = run(root, tmp_path, store, epochs=8, learning_rate=3e-3, keep="last")

    check = gate_check(found)
    assert check["status"] == "fail", check
    assert check["p_value"] < 0.001
    assert found["gate"]["checks"][0]["got"] > 0.6  # macro-F1: the task was learned


def test_a_usual_training_passes_and_the_probes_tell_something_of_the_base_model(
    root: Path, tmp_path: Path, store: Path
) -> None:
    found = run(root, tmp_path, store, epochs=2, learning_rate=5e-4)

    check = gate_check(found)
    assert check["status"] == "pass", check
    right = {one["kind"]: one["before"]["value"] for one in found["forgetting"]["probes"]}
    assert 0.4 < right["multiple_choice"] < 0.95
    assert 0.4 < right["cloze"] < 0.95
    assert 0.6 < right["minimal_pairs"] < 0.97
