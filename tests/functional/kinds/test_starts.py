"""Whole runs that start from something else than a model as it came: a blank one, and one with fewer layers."""

import json
import random
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.project import GOOD, THINGS, Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import manifests, report

pytestmark = pytest.mark.thorough

BLANK = {
    "layers": 2,
    "width": 32,
    "heads": 2,
    "context": 64,
    "tokenizer": {"train": "byte_pairs", "size": 280},
}


def texts(count: int) -> str:
    draw = random.Random(3)
    parts = (
        [f"{draw.choice(THINGS)} and {draw.choice(GOOD)} {draw.choice(THINGS)}" for _ in range(3)]
        for _ in range(count)
    )
    return "".join(f"the {', the '.join(one)}\n" for one in parts)


def blank(project: Project) -> None:
    (project.folder / "rows.txt").write_text(texts(120), encoding="utf-8")
    project.edit(
        task={"kind": "text"},
        base_model={"scratch": BLANK},
        data={"sources": [{"path": "rows.txt", "format": "lines"}], "checks": {"leakage": "off"}},
        splits={"by": "random", "train": 60, "validation": 10, "holdout": 30},
        baselines=None,
        method={"kind": "full", "epochs": 1, "max_length": 64, "learning_rate": 1e-3},
        acceptance={"metrics": {"bits_per_byte": {"max": 20}}, "decide_on": "point"},
    )


def student(project: Project) -> None:
    project.edit(base_model={"path": "base", "keep_layers": {"first": 1}}, method__epochs=1)


def test_a_blank_model_is_trained_beside_what_counts_bytes(root: Path) -> None:
    project = run_once("blank-model", blank)

    assert project.outcome.code == 0, project.outcome.err
    found = report(project.folder / ".recipe")
    schema = json.loads((root / "schemas" / "report.v1.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, schema)
    bits = {
        one["name"]: metric["value"]
        for one in found["baselines"]
        for metric in one["scores"]["metrics"]
        if metric["name"] == "bits_per_byte"
    }
    assert bits.keys() == {"byte_frequencies", "compressor"}
    assert bits["compressor"] < bits["byte_frequencies"] < 8
    assert found["base_model"] == "a blank model of 2 layers, 32 wide"
    assert (found["start"]["kind"], found["start"]["vocabulary"]) == ("scratch", 280)
    assert found["start"]["bytes_per_token"] > 1
    assert (
        found["training"]["total_parameters"]
        == 280 * 32 + 2 * (2 * 32 * 32 * 2 + 3 * 32 * 96 + 2 * 32) + 32
    )


def test_the_lock_has_the_digests_of_a_blank_start(root: Path) -> None:
    project = run_once("blank-model", blank)

    lock = json.loads((project.folder / "recipe.lock.json").read_text(encoding="utf-8"))
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(lock, schema)
    start = lock["accepted"]["base_model"]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= start["files"].keys()
    assert start["reference"]["scratch"]["tokenizer"] == BLANK["tokenizer"]


def test_a_model_with_fewer_layers_is_tuned_and_merged() -> None:
    project = run_once("fewer-layers", student)

    assert project.outcome.code == 0, project.outcome.err
    found = report(project.folder / ".recipe")
    assert found["base_model"] == "base, its first 1 layers"
    assert (found["start"]["kept"], found["start"]["of"]) == ([0], 2)
    (config,) = (project.folder / ".recipe" / "runs").glob("tiny/*/model/config.json")
    assert json.loads(config.read_text(encoding="utf-8"))["num_hidden_layers"] == 1


# Documents that are packed into rows: counted before they are trained, and judged one by one as ever.
BUDGET = 6000
LENGTH, BATCH = 256, 1


def prepare(project: Project) -> None:
    lines = [
        json.dumps({"text": f"speech {number}: " + "to be, or not to be. " * (1 + number % 5)})
        for number in range(90)
    ]
    (project.folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    checks = dict.fromkeys(("leakage", "near_duplicates"), "off")
    project.edit(
        task={"kind": "text", "input": "{text}"},
        data={"sources": [{"path": "rows.jsonl"}], "checks": checks},
        splits={"by": "random", "train": 50, "validation": 10, "holdout": 30},
        acceptance={"metrics": {"bits_per_byte": {"max": 100}}, "decide_on": "point"},
        baselines=["zero_shot"],
        method={
            "kind": "full",
            "packing": True,
            "tokens": BUDGET,
            "batch_size": BATCH,
            "max_length": LENGTH,
            "learning_rate": 1e-3,
        },
    )


@pytest.fixture
def done() -> RunOnce:
    return run_once("packed-text", prepare)


def test_a_budget_of_tokens_is_trained_in_packed_rows(done: RunOnce) -> None:
    assert done.outcome.code == 0, done.outcome.err
    found = report(done.folder / ".recipe")
    training = found["training"]
    assert found["outcome"] == "accepted"
    assert training["steps"] == -(-BUDGET // (BATCH * LENGTH))
    assert training["rows"] < 50
    assert training["packed_documents"] == 50
    assert training["padding"] * training["rows"] < 1
    losses = [point["loss"] for point in training["history"] if point["loss"] is not None]
    assert losses[-1] < losses[0]
    assert found["holdout"]["rows"] == 30


def test_the_plan_says_how_many_epochs_a_budget_comes_to(
    tmp_path: Path, run: Callable[..., Outcome], project: Project
) -> None:
    prepare(project)

    outcome = run("plan", "recipe.yaml", "--explain")

    assert outcome.code == 0, outcome.err
    assert f"{BUDGET:,} tokens in batches of {BATCH} rows of {LENGTH}: 24" in outcome.out
    assert "epochs of" in outcome.out


# General text beside the rows: sampled from the base model or given, trained, and no row of the task.
SHARE = 0.2
LENGTH_REPLAY = 64


def prepare_of_replay(project: Project, **replay: Any) -> None:
    lines = [
        json.dumps({"text": f"scene {number}: " + "to be, or not to be. " * (1 + number % 5)})
        for number in range(90)
    ]
    (project.folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    checks = dict.fromkeys(("leakage", "near_duplicates"), "off")
    project.edit(
        task={"kind": "text", "input": "{text}"},
        data={
            "sources": [{"path": "rows.jsonl"}],
            "checks": checks,
            "replay": {"share": SHARE, **(replay or {"from": "base_model"})},
        },
        splits={"by": "random", "train": 50, "validation": 10, "holdout": 30},
        acceptance={"metrics": {"bits_per_byte": {"max": 100}}, "decide_on": "point"},
        baselines=["zero_shot"],
        method={
            "kind": "full",
            "packing": True,
            "tokens": 2000,
            "batch_size": 1,
            "max_length": LENGTH_REPLAY,
            "learning_rate": 1e-3,
        },
    )


@pytest.fixture
def sampled() -> RunOnce:
    return run_once("replay-sampled", prepare_of_replay)


def written(store: Path) -> list[dict[str, Any]]:
    """Every text that was kept for training, of the one stored product."""
    [file] = store.glob("store/*/*/files/replay.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_samples_are_trained_and_are_no_rows(sampled: RunOnce) -> None:
    assert sampled.outcome.code == 0, sampled.outcome.err
    found = report(sampled.folder / ".recipe")
    replay, training = found["replay"], found["training"]

    assert replay["sampled"] is True
    assert replay["reached"] == pytest.approx(SHARE, abs=0.02)
    assert replay["tokens"] == sum(one["tokens"] for one in written(sampled.folder / ".recipe"))
    # Packed into the same rows, and learned: both count there.
    assert training["supervised_tokens"] == pytest.approx(
        replay["tokens"] + replay["own_tokens"], rel=0.05
    )
    splits = {one["name"]: one["rows"] for one in found["data"]["splits"]}
    assert splits == {"train": 50, "validation": 10, "holdout": 30}
    own_blocks = training["packed_documents"] - replay["texts"]
    assert 50 <= own_blocks < 100


def test_a_probe_says_that_none_of_it_is_in_its_steps(project: Project) -> None:
    prepare_of_replay(project)
    outcome = project.run("plan", str(project.recipe), "--probe")

    assert outcome.code == 0, outcome.err
    assert "none of it is in these steps" in outcome.err


def test_the_lock_holds_a_digest_of_them(sampled: RunOnce) -> None:
    lock = json.loads((sampled.folder / "recipe.lock.json").read_text(encoding="utf-8"))
    [file] = (sampled.folder / ".recipe").glob("store/*/*/files/replay.jsonl")

    assert lock["accepted"]["replay"] == {
        "sources": [],
        "texts": len(written(sampled.folder / ".recipe")),
        "digest": sha256(file.read_bytes()).hexdigest(),
    }


def test_no_sample_is_longer_than_a_row(sampled: RunOnce) -> None:
    texts = written(sampled.folder / ".recipe")

    assert texts
    assert all(0 < one["tokens"] <= LENGTH_REPLAY for one in texts)
    assert len({one["text"] for one in texts}) > len(texts) / 2


def test_a_larger_share_samples_only_what_is_missing(
    sampled: RunOnce, tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    project = sampled.copy_to(tmp_path, run)
    store = project.folder / ".recipe"
    before = [one for one in manifests(store) if one["stage"] == "samples"]
    project.edit(data__replay__share=0.5)

    outcome = project.run("run", str(project.recipe), "--until", "replay")

    assert outcome.code == 0, outcome.err
    after = [one for one in manifests(store) if one["stage"] == "samples"]
    assert len(after) > len(before) >= 1
    assert [one for one in after if one in before] == before


def test_the_same_seed_samples_the_same_texts(
    sampled: RunOnce, run: Callable[..., Outcome], project: Project
) -> None:
    prepare_of_replay(project)

    assert run("run", "recipe.yaml", "--until", "replay").code == 0

    assert written(project.folder / ".recipe") == written(sampled.folder / ".recipe")


def test_given_text_is_cut_into_blocks_and_what_judges_is_left_out(
    run: Callable[..., Outcome], project: Project
) -> None:
    prepare_of_replay(project, sources=[{"path": "general.jsonl"}])
    general = [f"{number} ships went down the river in the old days" for number in range(40)]
    rows = (project.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [*(json.dumps({"text": one}) for one in general), *rows]
    (project.folder / "general.jsonl").write_text("\n".join(lines), encoding="utf-8")
    project.edit(data__checks={"leakage": "off", "near_duplicates": "off"})

    outcome = run("run", "recipe.yaml", "--until", "replay")

    assert outcome.code == 0, outcome.err
    store = project.folder / ".recipe"
    assert all("ships went" in one["text"] or "scene" in one["text"] for one in written(store))
    [facts] = store.glob("store/*/*/files/replay.json")
    found = json.loads(facts.read_text(encoding="utf-8"))
    assert found["sampled"] is False
    assert found["reached"] == pytest.approx(SHARE, abs=0.02)
    assert sum(found["left_out"].values()) >= 40  # the holdout and validation rows among them


def test_too_little_text_is_refused_before_training(
    run: Callable[..., Outcome], project: Project
) -> None:
    prepare_of_replay(project, sources=[{"path": "general.jsonl"}])
    (project.folder / "general.jsonl").write_text('{"text": "one ship"}', encoding="utf-8")

    outcome = run("run", "recipe.yaml")

    assert "X760" in outcome.err
    assert "a share of 0.0" in outcome.err
    assert not list((project.folder / ".recipe").glob("store/*/*/files/training.json"))


def test_data_does_not_take_the_rows_of_the_task_for_all_that_is_trained(
    run: Callable[..., Outcome], project: Project
) -> None:
    prepare_of_replay(project)

    outcome = run("data", "recipe.yaml", "--format", "json")

    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["training"]["counted"] is False
