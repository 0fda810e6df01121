import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from engine.recipe import load_recipe
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Threshold
from engine.runs.challenge import base_model_yaml, costs, notes
from engine.store import Store, make_key
from engine.values import replace
from support.project import BASE

REPORT = {"training": {"total_parameters": 134_515_008, "seconds": 75.0}}


def walked(folder: Path, **files: Any) -> Any:
    """What is left of a walk: an artifact by stage."""
    store, artifacts = Store(folder / "store"), {}
    for stage, (name, content) in files.items():

        def build(made: Path, name: str = name, content: Any = content) -> None:
            (made / name).write_text(json.dumps(content), encoding="utf-8")

        artifacts[stage] = store.put(stage, make_key({"test": stage}), build)
    return SimpleNamespace(artifacts=artifacts)


def recipe_in(folder: Path) -> Recipe:
    (folder / "rows.csv").write_text("text,label\n", encoding="utf-8")
    (folder / "base").mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(dict(BASE)), encoding="utf-8")
    return load_recipe(folder / "recipe.yaml")[0]


def test_an_untouched_model_costs_its_size_and_its_answers(tmp_path: Path) -> None:
    facts = {"parameters": 361_821_120, "bytes": 723_642_240, "shots": 4}
    entry = {"name": "few_shot", "scores": {"rows": 40}, "seconds": 12.34, "facts": facts}
    state = walked(tmp_path, baseline=("baselines.json", [entry]))

    assert list(costs(state, REPORT, candidate="few_shot", trained=False)) == [
        "361.8 M parameters, 724 MB in memory (accepted: 134.5 M)",
        "answered 40 rows with 4 shots in 12.3 s",
    ]


def test_a_trained_model_costs_its_training(tmp_path: Path) -> None:
    training = {"total_parameters": 361_821_120, "seconds": 130}
    state = walked(tmp_path, train=("training.json", training))

    assert list(costs(state, REPORT, candidate="trained", trained=True)) == [
        "361.8 M parameters (accepted: 134.5 M)",
        "trained in 2 min 10 s (accepted: 1 min 15 s)",
    ]
    assert next(costs(state, {}, candidate="trained", trained=True)) == "361.8 M parameters"


def test_the_edit_names_a_path_from_the_recipe(tmp_path: Path) -> None:
    model = PathRef(path=tmp_path / "models" / "new", written="new")

    assert base_model_yaml(model, tmp_path / "recipes") == "base_model:\n  path: ../models/new\n"
    assert yaml.safe_load(base_model_yaml(HubRef(repo="a/b", revision="c" * 40), tmp_path)) == {
        "base_model": {"hub": "a/b", "revision": "c" * 40}
    }


def test_what_is_not_compared_or_not_pinned_is_reported(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    gated = (Threshold(metric="valid_output", direction="min", bound=0.9),)
    package = PackageRef(name="a", version="1", sha256=None, file="m.gguf")
    asked = replace(
        recipe, base_model=package, acceptance=replace(recipe.acceptance, metrics=gated)
    )

    lines = " / ".join(notes(asked))

    assert "valid_output is not compared" in lines
    assert "not pinned by a sha256" in lines
    assert "perplexity" not in lines
