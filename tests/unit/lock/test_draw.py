"""What a lock says to the data stage: nothing, the same rows, the recorded rows, or a redraw."""

import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.errors import DataError, StoreError
from engine.lock.comparison import NUMBERS, compared_rows
from engine.lock.draw import LockMatch, bind_to_lock, draw_of, inputs_of, recorded_rows
from engine.lock.file import NONE, Lock, LockedSplit, lock_from_text, lock_text
from engine.lock.holdout_uses import HoldoutUses
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.store import Store
from engine.values import replace
from support.data_artifacts import digest, members
from support.recipe_pairs import accepted_run
from unit.lock.test_file import LOCK

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


# What a lock says of rows that others added (teacher, writer, replayed text), and what repeating it compares.
A, B, OTHER = "ab" * 32, "cd" * 32, "ef" * 32
POOL = ({"name": "pool.csv", "sha256": A},)
GIVEN: dict[str, Any] = {"sources": POOL, "texts": 12, "digest": B}
FACTS: dict[str, dict[str, Any]] = {
    "teacher": {
        "reference": {"hub": "owner/larger", "revision": "0" * 40},
        "sources": POOL,
        "rows": 800,
        "trained": B,
    },
    "synthetic": {
        "reference": {"endpoint": "http://localhost:8000/v1", "model": "m"},
        "judge": {"hub": "owner/judge", "revision": "0" * 40},
        "rows": 640,
        "digest": A,
        "trained": B,
    },
    "replay": GIVEN,
}
CHANGES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("teacher", {}, []),
    ("teacher", {"reference": {"hub": "owner/larger"}}, []),
    ("teacher", {"reference": {"hub": "owner/other"}}, ["teacher"]),
    ("teacher", {"rows": 799}, ["teacher's rows"]),
    ("teacher", {"trained": OTHER}, ["rows with the teacher's"]),
    ("teacher", {"targets": OTHER}, []),
    ("teacher", {"sources": ({"name": "pool.csv", "sha256": B},)}, ["pool.csv for the teacher"]),
    ("synthetic", {}, []),
    ("synthetic", {"judge": {"hub": "owner/judge"}}, []),
    ("synthetic", {"judge": {}}, ["judge of rows"]),
    ("synthetic", {"reference": {"path": "elsewhere"}}, ["writer of rows"]),
    ("synthetic", {"rows": 639}, ["synthetic rows"]),
    ("synthetic", {"digest": OTHER}, ["text of synthetic rows"]),
    ("synthetic", {"trained": OTHER}, ["rows with synthetic ones"]),
    ("replay", {}, []),
    ("replay", {"sources": ({"name": "pool.csv", "sha256": None},)}, []),
    ("replay", {"sources": ({"name": "pool.csv", "sha256": B},)}, ["pool.csv that is replayed"]),
    ("replay", {"texts": 11}, ["replayed texts"]),
    ("replay", {"digest": OTHER}, ["replayed text"]),
]


@pytest.mark.parametrize(
    ("kind", "facts"), [*FACTS.items(), ("replay", {**GIVEN, "sources": ()})], ids=str
)
def test_facts_are_written_and_read_back_and_leave_no_trace_where_there_are_none(
    kind: str, facts: dict[str, Any], root: Path
) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    plain = replace(LOCK, accepted=accepted_run(LOCK))
    added = replace(LOCK, accepted=replace(accepted_run(LOCK), **{kind: facts}))

    jsonschema.validate(json.loads(lock_text(added)), schema)
    for lock in (plain, added):
        assert lock_from_text(Path("recipe.lock.json"), lock_text(lock)) == lock
    assert kind not in lock_text(plain)


@pytest.mark.parametrize(("kind", "change", "named"), CHANGES, ids=str)
def test_what_differs_is_named(kind: str, change: dict[str, Any], named: list[str]) -> None:
    found = list(compared_rows(kind, FACTS[kind], {**FACTS[kind], **change}))

    assert [one.name for one in found if not one.equal] == named
    assert {one.part for one in found} == {"data"}


@pytest.mark.parametrize("kind", FACTS)
def test_nothing_is_compared_where_one_of_the_runs_has_none(kind: str) -> None:
    assert [*compared_rows(kind, FACTS[kind], None), *compared_rows(kind, None, FACTS[kind])] == []


@pytest.mark.parametrize(
    ("kind", "facts", "key", "name"),
    [
        ("teacher", {**FACTS["teacher"], "targets": A}, "targets", "the teacher's probabilities"),
        ("replay", {**GIVEN, "sources": ()}, "digest", "replayed text"),
    ],
)
def test_what_a_model_computes_is_another_number_and_no_other_data(
    kind: str, facts: dict[str, Any], key: str, name: str
) -> None:
    found = compared_rows(kind, facts, {**facts, key: OTHER})

    assert [(one.part, one.name) for one in found if not one.equal] == [(NUMBERS, name)]


# How often each holdout has decided, across recipes and processes.
DIGEST = "5e" * 32


def look(root: Path) -> int:
    return HoldoutUses(Store(root)).add(DIGEST, {"recipe": "reviews", "run": "one"})


def test_each_decision_counts_once_and_is_distinguished(tmp_path: Path) -> None:
    holdouts = HoldoutUses(Store(tmp_path))

    first = holdouts.add(DIGEST, {"recipe": "reviews", "run": "one"})
    second = holdouts.add(DIGEST, {"recipe": "other", "run": "two"})

    assert (first, second, holdouts.looks(DIGEST)) == (1, 2, 2)
    assert holdouts.looks("6f" * 32) == 0
    record = json.loads((tmp_path / "holdouts" / f"{DIGEST}.json").read_text(encoding="utf-8"))
    assert [one["recipe"] for one in record["decisions"]] == ["reviews", "other"]


def test_decisions_that_only_the_lock_knows_count_too(tmp_path: Path) -> None:
    holdouts = HoldoutUses(Store(tmp_path))

    assert holdouts.add(DIGEST, {"run": "one"}, known=5) == 6
    assert holdouts.add(DIGEST, {"run": "two"}, known=2) == 7


def test_a_broken_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "holdouts").mkdir()
    (tmp_path / "holdouts" / f"{DIGEST}.json").write_text("{", encoding="utf-8")

    assert HoldoutUses(Store(tmp_path)).add(DIGEST, {"run": "one"}) == 1


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "holdouts").write_text("in the way", encoding="utf-8")

    with pytest.raises(StoreError) as caught:
        HoldoutUses(Store(tmp_path)).add(DIGEST, {"run": "one"})

    assert caught.value.problems[0].code == "E750"


def test_no_decision_is_lost_among_processes(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(look, [tmp_path] * 12))

    assert sorted(found) == list(range(1, 13))
