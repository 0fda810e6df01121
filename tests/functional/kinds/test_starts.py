"""Whole runs that start from something else than a model as it came: a blank one, and one with fewer layers."""

import json
import random
from pathlib import Path

import jsonschema
import pytest

from support.project import GOOD, THINGS, Project
from support.run_once import run_once
from support.runs import report

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
