"""General text before and after training: bits per byte, paired over documents, and a bound on their rise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import manifests, report

pytestmark = pytest.mark.thorough

WORDS = ("ships", "rivers", "fields", "markets", "winters", "letters", "bridges", "songs")


def documents(count: int = 40) -> list[str]:
    return [
        f"In those days the {WORDS[n % 8]} of {WORDS[n % 7]} number {n} were known. " * (1 + n % 9)
        for n in range(count)
    ]


def prepare(project: Project, **text: Any) -> None:
    lines = [json.dumps({"text": one}) for one in documents()]
    (project.folder / "general.jsonl").write_text("\n".join(lines), encoding="utf-8")
    named = text or {"path": "general.jsonl", "bits_per_byte": {"max_rise": 5.0}}
    probe = {"name": "own", "kind": "minimal_pairs", "path": "pairs.jsonl"}
    pair = {"good": "the film was good", "bad": "the film were good"}
    (project.folder / "pairs.jsonl").write_text(json.dumps(pair), encoding="utf-8")
    project.edit(
        acceptance__forgetting={"probes": [probe], "max_drop": 1.0, "text": named},
        baselines=["majority"],
        method__epochs=2,
    )


@pytest.fixture
def done() -> RunOnce:
    return run_once("general-text", prepare, "--until", "gate", "--verbose")


def test_the_rise_is_paired_over_documents_and_gated(done: RunOnce) -> None:
    assert done.outcome.code == 0, done.outcome.err
    found = report(done.folder / ".recipe")
    text = found["forgetting"]["text"]

    assert (text["builtin"], text["documents"], text["left_out"]) == (False, 40, 0)
    assert text["bytes"] == sum(len(one.encode()) for one in documents())
    rise = text["rise"]
    assert rise["value"] == pytest.approx(text["after"]["value"] - text["before"]["value"])
    assert rise["interval"]["low"] <= rise["value"] <= rise["interval"]["high"]
    (check,) = [one for one in found["gate"]["checks"] if one["name"] == "forgetting.text"]
    assert (check["status"], check["direction"], check["bound"]) == ("pass", "max", 5.0)
    assert check["p_value"] == text["p_value"]
    assert "general text: " in done.outcome.err


def test_a_bound_below_the_rise_refuses(done: RunOnce, tmp_path: Path, run: Any) -> None:
    project = done.copy_to(tmp_path, run)
    rise = report(project.folder / ".recipe")["forgetting"]["text"]["rise"]
    bound = max(0.0, rise["interval"]["low"] - 0.001)
    asked = len(likelihoods(project.folder / ".recipe"))
    project.edit(
        acceptance__forgetting__text={"path": "general.jsonl", "bits_per_byte": {"max_rise": bound}}
    )

    outcome = project.run("run", str(project.recipe), "--until", "gate", "--verbose")

    if rise["interval"]["low"] > 0.001:
        assert outcome.code == 1, outcome.err
        assert "forgetting.text" in outcome.err
    # Another bound asks no model again.
    assert len(likelihoods(project.folder / ".recipe")) == asked == 2


def likelihoods(root: Path) -> list[dict[str, Any]]:
    return [one for one in manifests(root) if one["stage"] == "text_likelihoods"]


def test_without_a_file_the_built_in_sentences_are_predicted(
    run: Callable[..., Outcome], project: Project
) -> None:
    prepare(project, bits_per_byte={"max_rise": 5.0}, limit=30)

    outcome = run("run", "recipe.yaml", "--until", "gate", "--verbose")

    assert outcome.code == 0, outcome.err
    text = report(project.folder / ".recipe")["forgetting"]["text"]
    assert (text["builtin"], text["documents"]) == (True, 30)
    assert "built-in sentences: " in outcome.err


def test_a_row_without_the_text_is_named(run: Callable[..., Outcome], project: Project) -> None:
    prepare(project, path="general.jsonl", input="{body}", bits_per_byte={"max_rise": 5.0})

    outcome = run("run", "recipe.yaml", "--until", "gate", "--verbose")

    assert outcome.code != 0
    assert "X762" in outcome.err
    assert "general.jsonl:1" in outcome.err
