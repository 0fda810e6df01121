from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from engine.backends import axolotl
from engine.lock.draw import RECORDED, ExpectedDraw, LockMatch, draw_of, inputs_of, recorded_rows
from engine.lock.file import Lock, LockedSplit
from engine.pipeline.plan import (
    UNKNOWN,
    Plan,
    PlanInputs,
    collect_inputs,
    holdout_line,
    moving,
    plan_run,
)
from engine.pipeline.report import SHIP, export_commands, steps_of_passing
from engine.recipe import load_recipe
from engine.recipe.baselines import EXPORTABLE
from engine.recipe.model import Baseline, BaselineKind, PathRef, Recipe
from engine.stages import evaluate
from engine.store import Store
from engine.store.records import AcceptedRun
from engine.values import replace
from support.data_artifacts import members
from support.estimates import recipe_in
from support.project import BASE
from support.stage_bench import CPU


def test_a_package_without_a_digest_is_reported_as_moving(root: Path, tmp_path: Path) -> None:
    lines = (root / "recipes" / "quickstart.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if "sha256:" not in line]
    path = tmp_path / "unpinned.yaml"
    path.write_text("\n".join([*kept, "allow_moving: true", ""]), encoding="utf-8")
    recipe, _ = load_recipe(path)

    found = moving(recipe)

    assert [line.partition(":")[0] for line in found] == ["base_model", "data.sources[0]"]


def test_a_pinned_recipe_moves_nowhere(root: Path) -> None:
    recipe, _ = load_recipe(root / "recipes" / "quickstart.yaml")

    assert moving(recipe) == ()


def made(folder: Path) -> Path:
    """A recipe whose data and base model are here."""
    recipe = folder / "recipe.yaml"
    (folder / "base").mkdir()
    (folder / "rows.csv").write_text("text,label\nfine,positive\nbad,negative\n", encoding="utf-8")
    recipe.write_text(yaml.safe_dump(dict(BASE)), encoding="utf-8")
    return recipe


def plan(recipe: Recipe, store: Store, lock: Lock | None = None, **orders: Any) -> Plan:
    sources = ({"sha256": "ab" * 32},)
    inputs = PlanInputs(device=CPU, sources=sources, base_model={}, lock=lock)
    return plan_run(recipe, store, inputs=inputs, **orders)


def lock_for(recipe: Recipe, inputs: str = "00" * 32, **changes: Any) -> Lock:
    keys = members({"train": ["a"], "validation": [], "holdout": ["b"]})
    holdout = LockedSplit(rows=1, digest="cd" * 32, members=keys["holdout"])
    return replace(
        Lock(
            recipe=recipe.name,
            draw=draw_of(recipe),
            inputs=inputs,
            drawn_with=None,
            splits={"holdout": holdout},
            unused=None,
            firewall=None,
        ),
        **changes,
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return load_recipe(made(tmp_path))[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".recipe")


def test_the_record_is_part_of_the_data_key_and_of_no_other(recipe: Recipe, store: Store) -> None:
    free, held = plan(recipe, store), plan(recipe, store, lock_for(recipe))
    recorded = recorded_rows(recipe, lock_for(recipe))

    keys = [found.stage("data").key for found in (free, held)]
    assert all(keys)
    assert keys[0] != keys[1]
    assert [key.payload[RECORDED] for key in keys if key] == [None, recorded.digest]
    assert held.stage("data").held == ExpectedDraw(
        match=LockMatch.KEPT, digest=recorded.digest, recorded=recorded
    )
    assert all(stage.held is None for stage in held.stages if stage.name != "data")


@pytest.mark.parametrize("name", ["data", "compile", "train", "verify"])
def test_a_plan_up_to_a_stage_says_of_it_what_the_whole_plan_says(
    name: str, recipe: Recipe, store: Store
) -> None:
    whole, part = (
        plan(recipe, store, force=("train",)),
        plan(recipe, store, force=("train",), until=name),
    )

    assert part.stage(name) == whole.stage(name)
    assert part.stages == whole.stages[: len(part.stages)]
    assert part.stages[-1].name == name


def test_a_lock_of_these_inputs_leaves_the_key_as_it_was(recipe: Recipe, store: Store) -> None:
    free = plan(recipe, store).stage("data")
    assert free.key
    inputs = inputs_of(free.key.payload)

    same = plan(recipe, store, lock_for(recipe, inputs)).stage("data")
    once_held = plan(recipe, store, lock_for(recipe, inputs, drawn_with="ef" * 32)).stage("data")

    assert same.key == free.key
    assert once_held.key
    assert once_held.key.payload[RECORDED] == "ef" * 32


def test_the_reason_says_what_happens_to_the_holdout(recipe: Recipe, store: Store) -> None:
    old = plan(recipe, store).stage("data").key
    assert old
    previous = {"data": {**old.payload, "sources": [{"sha256": "cd" * 32}]}}
    reseeded = replace(recipe, splits=replace(recipe.splits, seed=8))

    grown = plan(recipe, store, lock_for(recipe), previous=previous).stage("data").reason
    fresh = plan(recipe, store, lock_for(recipe)).stage("data").reason
    drawn = plan(reseeded, store, lock_for(recipe), previous={"data": old.payload})
    gone = plan(recipe, store, previous={"data": {**old.payload, RECORDED: "ef" * 32}})

    assert grown == "a data source changed; the recorded holdout keeps its rows"
    assert fresh == "never built; the recorded holdout keeps its rows"
    assert drawn.stage("data").reason == "the holdout is redrawn: splits.seed 7 -> 8"
    assert gone.stage("data").reason == "the lock changed"


def test_a_plan_without_a_record_says_nothing_of_it(recipe: Recipe, store: Store) -> None:
    assert holdout_line(plan(recipe, store)) == ""


def test_rows_that_only_a_run_can_tell_are_named_as_such(recipe: Recipe, store: Store) -> None:
    """Two rows are too few for the splits: reading them ahead tells nothing."""
    assert holdout_line(plan(recipe, store, lock_for(recipe))) == UNKNOWN


@pytest.mark.parametrize("kind", ["chat", "text", "preference", "generation"])
def test_kinds_without_labels_can_be_planned(recipe: Recipe, store: Store, kind: Any) -> None:
    task = replace(recipe.task, kind=kind, labels=())
    bare = replace(recipe, task=task, data=replace(recipe.data, label=None))

    assert plan(bare, store).stage("data").key


def test_what_a_stage_reads_besides_stands_in_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, _ = load_recipe(made(tmp_path))
    store = Store(tmp_path / ".recipe")
    (tmp_path / "other").write_text("one", encoding="utf-8")
    other = PathRef(path=tmp_path / "other", written="other")
    before = plan_run(recipe, store, inputs=collect_inputs(recipe, store, CPU))
    monkeypatch.setattr(evaluate, "references", lambda _recipe: {"other": other}, raising=False)

    def key() -> str:
        found = (
            plan_run(recipe, store, inputs=collect_inputs(recipe, store, CPU)).stage("evaluate").key
        )
        return "" if found is None else found.digest

    first = key()
    (tmp_path / "other").write_text("two", encoding="utf-8")

    assert len({str(before.stage("evaluate").key), first, key()}) == 3


@pytest.mark.parametrize(
    ("kind", "backend", "changed"),
    [
        (
            "cuda",
            "axolotl",
            {"compile", "train", "evaluate", "gate", "merge", "quantize", "verify"},
        ),
        ("cuda", "trl", set()),
        ("cpu", "axolotl", set()),
    ],
)
def test_kernels_of_a_gpu_are_part_of_what_is_trained_with_them(
    recipe: Recipe,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    backend: Any,
    changed: set[str],
) -> None:
    sized = replace(
        recipe,
        splits=replace(recipe.splits, train=60, validation=20, holdout=40),
        backend=replace(recipe.backend, name=backend, precision="bf16"),
    )
    device = replace(CPU, kind=kind, bf16=True)
    inputs = PlanInputs(device=device, sources=({"sha256": "ab" * 32},), base_model={})
    found = []
    for packages in ((), ("liger-kernel",)):
        monkeypatch.setattr(axolotl, "_importable", lambda packages=packages: packages)
        stages = plan_run(sized, store, inputs=inputs).stages
        found.append({stage.name: stage.key.digest for stage in stages if stage.key})

    without, with_liger = found
    assert {name for name in without if without[name] != with_liger[name]} == changed


def test_another_accepted_model_is_part_of_the_gates_key_and_of_no_other(
    recipe: Recipe, store: Store
) -> None:
    sized = replace(recipe, splits=replace(recipe.splits, train=60, validation=20, holdout=40))
    inputs = PlanInputs(device=CPU, sources=({"sha256": "ab" * 32},), base_model={})
    run = AcceptedRun(folder=store.root, keys={"train": "other"}, started="2026-11-23")

    alone = plan_run(sized, store, inputs=inputs)
    followed = plan_run(sized, store, inputs=replace(inputs, accepted=(run,)))
    before = {stage.name: stage.key.payload for stage in alone.stages if stage.key}
    planned = plan_run(sized, store, inputs=replace(inputs, accepted=(run,)), previous=before)

    changed = [name for name in before if alone.stage(name).key != followed.stage(name).key]
    assert changed == ["gate"]
    assert planned.stage("gate").previous is not None


def test_the_same_model_accepted_before_changes_no_key(recipe: Recipe, store: Store) -> None:
    sized = replace(recipe, splits=replace(recipe.splits, train=60, validation=20, holdout=40))
    inputs = PlanInputs(device=CPU, sources=({"sha256": "ab" * 32},), base_model={})
    alone = plan_run(sized, store, inputs=inputs)
    train = alone.stage("train").key
    assert train is not None
    run = AcceptedRun(folder=store.root, keys={"train": train.digest}, started="2026-11-23")

    again = plan_run(sized, store, inputs=replace(inputs, accepted=(run,)))

    assert [stage.key for stage in alone.stages] == [stage.key for stage in again.stages]


# What a run advises where a baseline meets every threshold: only what can be done with one of its kind.
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
