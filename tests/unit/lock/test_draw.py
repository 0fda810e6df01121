"""What a lock says to the data stage: nothing, the same rows, the recorded rows, or a redraw."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DataError
from engine.lock.draw import LockMatch, bind_to_lock, draw_of, inputs_of, recorded_rows
from engine.lock.file import NONE, Lock, LockedSplit
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.values import replace
from support.data_artifacts import digest, members

SPLITS = {"train": ["a", "b"], "validation": ["c"], "holdout": ["d", "e"], "none": ["f"]}
HERE, ELSE = "11" * 32, "22" * 32


@pytest.fixture
def recipe(root: Path) -> Recipe:
    return load_recipe(root / "recipes" / "quickstart.yaml")[0]


def lock(recipe: Recipe, *, drawn_with: str | None = None, **parts: Mapping[str, Any]) -> Lock:
    keys = members(SPLITS)
    return Lock(
        recipe=recipe.name,
        draw=parts.get("draw", draw_of(recipe)),
        inputs=HERE,
        drawn_with=drawn_with,
        splits={
            name: LockedSplit(rows=len(texts), digest=digest(texts), members=keys[name])
            for name, texts in SPLITS.items()
            if name != NONE
        },
        unused=keys[NONE],
        firewall=None,
    )


def test_without_a_lock_nothing_is_held(recipe: Recipe) -> None:
    held = bind_to_lock(recipe, None, HERE)

    assert (held.match, held.digest, held.recorded) == (LockMatch.NEW, None, None)


def test_the_same_inputs_of_a_fresh_draw_are_drawn_afresh_again(recipe: Recipe) -> None:
    held = bind_to_lock(recipe, lock(recipe), HERE)

    assert (held.match, held.digest, held.recorded) == (LockMatch.SAME, None, None)


def test_the_same_inputs_keep_their_key_and_are_held_to_what_came_of_them(recipe: Recipe) -> None:
    held = bind_to_lock(recipe, lock(recipe, drawn_with="77" * 32), HERE)

    assert (held.match, held.digest) == (LockMatch.SAME, "77" * 32)
    assert held.recorded == recorded_rows(recipe, lock(recipe))


def test_other_inputs_are_held_to_the_recorded_rows(recipe: Recipe) -> None:
    held = bind_to_lock(recipe, lock(recipe, drawn_with="77" * 32), ELSE)

    assert held.match is LockMatch.KEPT
    assert held.recorded is not None
    assert held.digest == held.recorded.digest
    assert {name: len(keys) for name, keys in held.recorded.members.items()} == {
        "train": 2,
        "validation": 1,
        "holdout": 2,
        "none": 1,
    }


@pytest.mark.parametrize("size", [0.2, "all"])
def test_sizes_that_are_no_rows_need_no_record(recipe: Recipe, size: Any) -> None:
    recipe = replace(recipe, splits=replace(recipe.splits, holdout=size))

    held = bind_to_lock(recipe, lock(recipe), ELSE)

    assert (held.match, held.digest, held.recorded) == (LockMatch.OPEN, None, None)


@pytest.mark.parametrize(
    "splits",
    [
        {"by": "time", "column": "at", "holdout": 0.2},
        {"by": "files", "validation": 5, "holdout": "all"},
        {"by": "column", "column": "split", "holdout": 20},
    ],
)
def test_splits_that_other_rows_would_move_are_held(recipe: Recipe, splits: Any) -> None:
    recipe = replace(recipe, splits=replace(recipe.splits, **splits))
    recorded = replace(lock(recipe), draw=draw_of(recipe))

    assert bind_to_lock(recipe, recorded, ELSE).match is LockMatch.KEPT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 8}, "splits.seed 7 -> 8"),
        ({"holdout": 250}, "splits.holdout 300 -> 250"),
        ({"by": "random"}, "splits.by stratified -> random"),
        ({"by": "group", "column": "user"}, "splits.column none -> user"),
        ({"folds": 5}, "splits.folds none -> 5"),
    ],
)
def test_another_draw_gives_the_record_up_and_says_why(
    recipe: Recipe, change: dict[str, Any], message: str
) -> None:
    before = lock(recipe)
    recipe = replace(recipe, splits=replace(recipe.splits, **change))

    held = bind_to_lock(recipe, before, ELSE)

    assert (held.match, held.digest, held.recorded) == (LockMatch.REDRAWN, None, None)
    assert message in held.changed


def test_another_template_is_another_draw(recipe: Recipe) -> None:
    other = replace(recipe, task=replace(recipe.task, input="{text} {title}"))

    assert bind_to_lock(other, lock(recipe), ELSE).changed == ("task.input changed",)


def test_sizes_of_the_other_splits_are_no_part_of_the_draw(recipe: Recipe) -> None:
    more = replace(recipe, splits=replace(recipe.splits, train=500, validation=50))

    assert draw_of(more) == draw_of(recipe)


def test_the_record_is_no_part_of_the_inputs() -> None:
    assert inputs_of({"a": 1, "recorded": "x"}) == inputs_of({"a": 1, "recorded": None})
    assert inputs_of({"a": 1}) != inputs_of({"a": 2})


@pytest.mark.parametrize(
    "text", ["no base64!", "AAAA", members({"holdout": ["a", "b", "c"]})["holdout"]]
)
def test_recorded_rows_that_were_changed_are_reported(recipe: Recipe, text: str) -> None:
    whole = lock(recipe)
    holdout = replace(whole.splits["holdout"], members=text)
    changed = replace(whole, splits={**whole.splits, "holdout": holdout})

    with pytest.raises(DataError) as caught:
        bind_to_lock(recipe, changed, ELSE)

    (problem,) = caught.value.problems
    assert problem.code == "D383"
    assert "quickstart.lock.json" in problem.message
    assert problem.hint is not None
    assert "git checkout -- " in problem.hint


def test_the_order_of_labels_and_bins_is_no_redraw(recipe: Recipe) -> None:
    label = recipe.data.label
    assert label is not None
    turned = replace(
        recipe,
        task=replace(recipe.task, labels=recipe.task.labels[::-1]),
        data=replace(recipe.data, label=replace(label, bins=label.bins[::-1])),
    )
    as_before = replace(lock(turned), draw=draw_of(turned, sorted_=False))

    assert draw_of(turned, sorted_=False) != draw_of(turned)
    assert bind_to_lock(turned, lock(recipe), ELSE).match is LockMatch.KEPT
    assert bind_to_lock(turned, as_before, ELSE).match is LockMatch.KEPT
