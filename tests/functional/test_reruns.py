"""What must and must not run again after a change: the table of docs/explanation/architecture.md, by keys."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import environment
from engine.environment import Device
from engine.pipeline.plan import Plan, collect_inputs, plan_run
from engine.recipe import load_recipe
from engine.store import Store
from support.project import Project

CPU = Device(kind="cpu", name="test", memory_bytes=1, cores=2, bf16=True)
EVERYTHING = {
    "data",
    "baseline",
    "compile",
    "train",
    "evaluate",
    "gate",
    "merge",
    "quantize",
    "verify",
}
AFTER_TRAINING = {"compile", "train", "evaluate", "gate", "merge", "quantize", "verify"}


def keys(project: Project) -> dict[str, str | None]:
    recipe, _ = load_recipe(project.recipe)
    store = Store(project.folder / "store")
    plan: Plan = plan_run(recipe, store, inputs=collect_inputs(recipe, store, CPU))
    return {stage.name: stage.key.digest if stage.key else None for stage in plan.stages}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before.keys() | after if before.get(name) != after.get(name)}


@pytest.mark.parametrize(
    ("change", "reruns"),
    [
        ({"description": "Other words."}, set()),
        ({"name": "another-name"}, set()),
        ({"waivers": [{"what": "W101", "why": "It is meant."}]}, set()),
        ({"acceptance__metrics__macro_f1__min": 0.5}, {"gate", "verify"}),
        ({"acceptance__overfitting": {"max_gap": 0.5}}, {"gate"}),
        ({"stop_if_baseline_passes": True}, set()),
        ({"export__formats": ["safetensors", "gguf"]}, {"quantize", "verify"}),
        ({"method__rank": 8}, AFTER_TRAINING),
        ({"method__learning_rate": 1e-4}, AFTER_TRAINING),
        ({"method__epochs": 3}, AFTER_TRAINING),
        ({"splits__seed": 8}, EVERYTHING),
        ({"splits__holdout": 30}, EVERYTHING),
        ({"data__sample": {"rows": 130, "seed": 1}}, EVERYTHING),
        ({"baselines": ["majority"]}, {"baseline", "gate", "verify"}),
        ({"learning_curve": True}, {"resample"}),
        ({"method__seeds": [8, 9]}, {"seeds"}),
        ({"acceptance__forgetting": {"max_drop": 0.5}}, {"forgetting", "gate"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value)[:60],
)
def test_a_change_reruns_what_it_can_change(
    project: Project, change: dict[str, Any], reruns: set[str]
) -> None:
    before = keys(project)

    project.edit(**change)

    assert reruns == changed(before, keys(project))


SHORT = {"splits__train": 40, "splits__validation": 60}
SELECTIVE = {"accuracy": {"min": 0.9}, "coverage": {"min": 0.5}}
FORGETTING = {"acceptance__forgetting": {"max_drop": 0.5}}


@pytest.mark.parametrize(
    ("first", "change", "reruns"),
    [
        (SHORT, {"acceptance__selective": SELECTIVE}, {"gate", "verify"}),
        (SHORT, {"export__calibrate": True}, {"verify"}),
        (
            {"export__formats": ["gguf"]},
            {"export__after_quantization": {"agreement": {"min": 0.5}}},
            {"verify"},
        ),
        (FORGETTING, {"acceptance__forgetting": {"max_drop": 0.1}}, {"gate"}),
    ],
    ids=["selective", "calibrate", "quantized file", "forgetting"],
)
def test_a_further_bound_judges_again_and_asks_no_model(
    project: Project, first: dict[str, Any], change: dict[str, Any], reruns: set[str]
) -> None:
    project.edit(**first)
    before = keys(project)

    project.edit(**change)

    assert reruns == changed(before, keys(project))


def test_comments_and_formatting_rerun_nothing(project: Project) -> None:
    before = keys(project)
    text = project.recipe.read_text(encoding="utf-8")

    project.recipe.write_text(
        "# a comment\n\n" + text.replace("rank: 4", "rank:   4  # small"), encoding="utf-8"
    )

    assert set() == changed(before, keys(project))


def test_the_order_of_mappings_and_sets_reruns_nothing(project: Project) -> None:
    metrics = {"macro_f1": {"min": 0.01}, "accuracy": {"min": 0.01}}
    relabel = {"positive": "positive", "negative": "negative"}
    bounds = {"macro_f1": {"max_drop": 0.5}, "agreement": {"min": 0.1}}
    project.edit(
        acceptance__metrics=metrics,
        data__label__relabel=relabel,
        export={"formats": ["safetensors", "gguf"], "after_quantization": bounds},
    )
    before = keys(project)

    project.edit(
        acceptance__metrics=dict(reversed(metrics.items())),
        data__label__relabel=dict(reversed(relabel.items())),
        export={
            "after_quantization": dict(reversed(bounds.items())),
            "formats": ["gguf", "safetensors"],
        },
    )

    assert set() == changed(before, keys(project))


def test_another_base_model_reruns_all_but_data_and_the_unchanged_config(
    project: Project, tmp_path: Path
) -> None:
    before = keys(project)
    base = tmp_path / "other-base"
    base.mkdir()
    for path in (project.folder / "base").iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    (base / "config.json").write_text((base / "config.json").read_text("utf-8") + "\n", "utf-8")

    project.edit(base_model__path="other-base")

    assert changed(before, keys(project)) == EVERYTHING - {"data", "compile"}


def test_a_changed_row_reruns_everything(project: Project) -> None:
    before = keys(project)
    path = project.folder / "rows.csv"

    path.write_text(path.read_text(encoding="utf-8") + "one more row,positive\n", encoding="utf-8")

    assert changed(before, keys(project)) == EVERYTHING


def test_a_changed_probe_is_asked_again(project: Project) -> None:
    path = project.folder / "pairs.jsonl"
    path.write_text('{"good": "it is", "bad": "it are"}\n', encoding="utf-8")
    probe = {"name": "own", "kind": "minimal_pairs", "path": path.name}
    project.edit(acceptance__forgetting={"max_drop": 0.5, "probes": [probe]})
    before = keys(project)

    path.write_text('{"good": "we are", "bad": "we is"}\n', encoding="utf-8")

    assert changed(before, keys(project)) == {"forgetting", "gate"}


def test_another_backend_version_retrains(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(project)
    real = environment.version_of

    def other(distribution: str) -> str | None:
        return "99.0" if distribution == "trl" else real(distribution)

    monkeypatch.setattr("engine.backends.trl.version_of", other)

    assert changed(before, keys(project)) == AFTER_TRAINING


def test_a_parent_changes_where_things_are_written_and_no_key(project: Project) -> None:
    before = keys(project)
    fields = yaml.safe_load(project.recipe.read_text(encoding="utf-8"))
    shared = {name: fields.pop(name) for name in ("task", "data", "base_model", "method")}
    shared["data"]["sources"][0]["path"] = "../rows.csv"
    shared["base_model"]["path"] = "../base"
    (project.folder / "shared").mkdir()
    parent = project.folder / "shared" / "parent.yaml"
    parent.write_text(yaml.safe_dump(shared), encoding="utf-8")
    child = {"extends": "shared/parent.yaml", **fields}
    project.recipe.write_text(yaml.safe_dump(child), encoding="utf-8")

    assert keys(project) == before


def test_packing_and_a_budget_of_tokens_train_again(project: Project) -> None:
    project.edit(
        task={"kind": "text", "input": "{text}"},
        data__label=None,
        splits__by="random",
        acceptance={"metrics": {"bits_per_byte": {"max": 9}}},
        baselines=["zero_shot"],
    )
    before = keys(project)
    project.edit(method__packing=True)
    packed = keys(project)
    project.edit(method__epochs=None, method__tokens=5000)

    assert AFTER_TRAINING >= changed(before, packed) >= {"compile"}
    assert changed(packed, keys(project)) >= {"compile"}


@pytest.mark.parametrize(
    ("change", "asks_again"),
    [
        ({"teacher__keep": {"confidence": {"min": 0.9}}}, True),
        ({"teacher__inputs__rows": 5}, True),
        ({"teacher__model__shots": 2}, True),
        ({"method__learning_rate": 1e-4}, False),
        ({"acceptance__against_teacher": {"macro_f1": {"max_drop": 0.1}}}, False),
        ({"teacher__targets": "soft"}, False),
    ],
    ids=str,
)
def test_a_teacher_answers_again_only_for_what_changes_its_rows(
    project: Project, change: dict[str, Any], asks_again: bool
) -> None:
    project.edit(teacher={"model": {"path": "base"}, "inputs": {"sources": [{"path": "rows.csv"}]}})
    before = keys(project)

    project.edit(**change)

    assert (before["teach"] != keys(project)["teach"]) is asks_again
    assert before["data"] == keys(project)["data"]


@pytest.mark.parametrize(
    ("change", "reruns"),
    [
        ({"method__learning_rate": 1e-4}, False),
        ({"method__rank": 8}, False),
        ({"teacher__temperature": 1.0}, False),
        ({"teacher__weight": 0.9}, False),
        ({"teacher__compare_with_answers": True}, False),
        ({"method__loss_on": "everything"}, True),
        ({"method__max_length": 64}, True),
        ({"teacher__inputs__rows": 5}, True),
    ],
    ids=str,
)
def test_a_teacher_is_asked_for_probabilities_again_only_for_other_tokens(
    project: Project, change: dict[str, Any], reruns: bool
) -> None:
    inputs = {"sources": [{"path": "rows.csv"}]}
    project.edit(teacher={"model": {"path": "base"}, "inputs": inputs, "targets": "soft"})
    before = keys(project)

    project.edit(**change)

    assert (before["soft_targets"] != keys(project)["soft_targets"]) is reruns
