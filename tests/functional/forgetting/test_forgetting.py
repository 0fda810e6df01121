"""Probes before and after training: measured, gated, and the base model asked once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import manifests, report, statuses

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning"),
]

PAIRS = [
    {"sentence_good": f"the {thing} was good", "sentence_bad": f"the {thing} were good"}
    for thing in ("film", "plot", "cast", "song", "scene")
]


def probing(project: Project) -> None:
    lines = "".join(json.dumps(pair) + "\n" for pair in PAIRS)
    (project.folder / "pairs.jsonl").write_text(lines, encoding="utf-8")
    probe = {"name": "own", "kind": "minimal_pairs", "path": "pairs.jsonl"}
    project.edit(
        acceptance__forgetting={"probes": [probe], "max_drop": 1.0},
        baselines=["majority"],
        method__epochs=2,
    )


@pytest.fixture(scope="session")
def probed_once() -> RunOnce:
    """A project with probes after its run."""
    return run_once("probed", probing, "--until", "gate")


@pytest.fixture
def probed(probed_once: RunOnce, tmp_path: Path, run: Callable[..., Outcome]) -> Project:
    """A copy of that project."""
    return probed_once.copy_to(tmp_path, run)


def answers(root: Path) -> list[dict[str, Any]]:
    return [manifest for manifest in manifests(root) if manifest["stage"] == "probe_answers"]


def test_probes_are_asked_before_and_after_and_the_base_model_only_once(
    probed: Project, probed_once: RunOnce
) -> None:
    root = probed.folder / ".recipe"
    first, found = probed_once.outcome, report(root)

    assert first.code == 0, first.err
    assert found["forgetting"]["overall"]["n"] == 5
    assert [one["name"] for one in found["forgetting"]["probes"]] == ["own"]
    (check,) = [one for one in found["gate"]["checks"] if one["name"] == "forgetting"]
    assert (check["status"], check["direction"], check["bound"]) == ("pass", "max", 1.0)
    assert "all probes: " in first.err
    assert len(answers(root)) == 2
    assert [one["step"] for one in found["checkpoints"]] == [4, 8, 12, 16]
    assert all(one["eval_loss"] > 0 and one["loss"] > 0 for one in found["checkpoints"])
    assert all(one["metric"]["name"] == "macro_f1" for one in found["checkpoints"])
    assert all(one["metric"]["n"] == 20 for one in found["checkpoints"])

    probed.edit(method__rank=2)
    probed.run("run", str(probed.recipe), "--until", "gate")

    assert statuses(root)["forgetting"] == "ran"
    assert len(answers(root)) == 3


def test_a_drop_above_the_bound_is_refused(probed: Project) -> None:
    """A drop of zero is allowed, and of so few pairs none can be excluded."""
    probed.edit(acceptance__forgetting__max_drop=0.0)

    outcome = probed.run("run", str(probed.recipe), "--until", "gate")
    found = report(probed.folder / ".recipe")

    assert outcome.code == 1
    assert found["gate"]["status"] in ("fail", "inconclusive")


def test_a_recipe_without_the_bound_asks_nothing(accepted: Path) -> None:
    root = accepted / ".recipe"

    assert "forgetting" not in statuses(root)
    assert report(root)["forgetting"] is None
    assert answers(root) == []


def test_a_probe_that_cannot_be_asked_is_reported(probed: Project) -> None:
    (probed.folder / "pairs.jsonl").write_text('{"good": "x", "bad": "x"}\n', encoding="utf-8")

    outcome = probed.run("run", str(probed.recipe), "--until", "gate")

    assert outcome.code == 3
    assert "D386" in outcome.err
    assert "pairs.jsonl:1" in outcome.err
