"""What a run advises where a baseline meets every threshold: only what can be done with one of its kind."""

from pathlib import Path
from typing import get_args

import pytest

from engine.pipeline.report import SHIP, export_commands, steps_of_passing
from engine.recipe.baselines import EXPORTABLE
from engine.recipe.model import Baseline, BaselineKind, Recipe
from engine.values import replace
from support.estimates import recipe_in

KINDS: tuple[BaselineKind, ...] = get_args(BaselineKind)


def steps(recipe: Recipe, kinds: tuple[BaselineKind, ...], folds: int = 0) -> list[str]:
    baselines = tuple(Baseline(kind=kind, name=f"my_{kind}") for kind in kinds)
    splits = replace(recipe.splits, folds=folds)
    recipe = replace(recipe, baselines=baselines, splits=splits)
    return list(steps_of_passing(recipe, [one.name for one in baselines], "tiny.yaml"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_is_named_for_what_can_be_exported(kind: BaselineKind, tmp_path: Path) -> None:
    found = steps(recipe_in(tmp_path), (kind,))

    command = f"recipe export baseline tiny.yaml --baseline my_{kind}"
    assert (command in found) is (kind in EXPORTABLE)
    assert f"my_{kind}" in found[-1]


@pytest.mark.parametrize("kind", ["majority", "longer_answer", "byte_frequencies", "compressor"])
def test_what_learns_nothing_is_not_to_be_shipped(kind: BaselineKind, tmp_path: Path) -> None:
    found = steps(recipe_in(tmp_path), (kind,))

    assert found == [
        f"raise the thresholds: my_{kind} meets them, and it learns nothing of what a text means"
    ]


@pytest.mark.parametrize(
    "kind", ["zero_shot", "few_shot", "retrieved_few_shot", "untouched", "model"]
)
def test_a_model_as_it_stands_needs_no_export(kind: BaselineKind, tmp_path: Path) -> None:
    ship, how = steps(recipe_in(tmp_path), (kind,))

    assert ship == SHIP
    assert how.endswith("nothing has to be exported")


def test_of_folds_no_model_can_be_exported(tmp_path: Path) -> None:
    found = steps(recipe_in(tmp_path), ("majority", "tfidf_svm"), folds=5)

    assert found[0] == SHIP
    assert "in place of splits.folds" in found[1]
    assert not any(step.startswith("recipe export") for step in found)


def test_only_those_that_pass_are_named(tmp_path: Path) -> None:
    two = tuple(Baseline(kind=kind, name=kind) for kind in ("tfidf_svm", "encoder_linear"))
    recipe = replace(recipe_in(tmp_path), baselines=two)

    assert list(export_commands(recipe, ["encoder_linear"], "tiny.yaml")) == [
        "recipe export baseline tiny.yaml --baseline encoder_linear"
    ]
