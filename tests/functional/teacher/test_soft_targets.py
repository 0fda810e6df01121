"""Whole recipes that learn a teacher's probabilities: a tiny model in a folder teaches another one."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.runtime.training import soft_targets as teacher_targets
from engine.training import soft_targets
from support.pico import make_pico_model
from support.project import Project, rows
from support.runs import report

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("teacher") / "model", seed=5)


@pytest.fixture
def taught(project: Project, teacher: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with soft targets, and rows without labels for the teacher to answer."""
    monkeypatch.chdir(project.folder)
    (project.folder / "teacher").symlink_to(teacher)
    known = {text for text, _ in rows(140)}
    texts = [text for text, _ in rows(200, seed=5) if text not in known][:12]
    (project.folder / "unlabelled.csv").write_text("\n".join(["text", *texts]), encoding="utf-8")
    project.edit(
        teacher={
            "model": {"path": "teacher"},
            "targets": "soft",
            "inputs": {"sources": [{"path": "unlabelled.csv"}]},
            "stop_if_teacher_is_no_better": False,
        },
        splits__train=30,
        baselines=["majority"],
        data__checks={"leakage": "warn", "near_duplicates": "off"},
    )
    return project


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each pass through a teacher."""
    seen: list[int] = []
    ask = teacher_targets.targets_of

    def counted(loaded: Any, pack: Any, **given: Any) -> Any:
        seen.append(len(pack.rows))
        return ask(loaded, pack, **given)

    monkeypatch.setattr(teacher_targets, "targets_of", counted)
    return seen


def found_in(project: Project) -> dict[str, Any]:
    return report(project.folder / ".recipe")


def run(project: Project, *words: str) -> int:
    outcome = project.run("run", str(project.recipe), *words)
    assert "BUG" not in outcome.err
    return outcome.code


def test_soft_targets_are_learned_and_compared_with_the_answers_alone(
    taught: Project, passes: list[int]
) -> None:
    taught.edit(teacher__compare_with_answers=True)
    before = taught.run("plan", str(taught.recipe))
    outcome = taught.run("run", str(taught.recipe))
    found = found_in(taught)
    after = taught.run("plan", str(taught.recipe))
    targets, beside = found["soft_targets"], found["soft_against_answers"]
    page = next((taught.folder / ".recipe" / "runs").rglob("report.md")).read_text("utf-8")

    assert outcome.code == 0, outcome.err
    trained = found["training"]
    assert targets["rows"] == trained["rows"] == 30 + found["teacher"]["kept"]
    assert (targets["asked"], sum(passes)) == (targets["rows"], targets["rows"])
    assert targets["kept_tokens"] == soft_targets.MOST
    assert min(trained["soft_targets"].values()) > 0
    assert [one["metric"] for one in beside["comparisons"]] == ["macro_f1"]
    assert beside["comparisons"][0]["n"] == 40
    assert "Soft targets and answers" in page
    assert "another task or seed may turn it round" in page
    assert "is asked for its probabilities in every training row" in before.out
    assert "its probabilities are kept, and asked for no more" in after.out
    assert "answers_only" in before.out


def test_another_learning_rate_asks_the_teacher_for_nothing(
    taught: Project, passes: list[int]
) -> None:
    assert run(taught, "--until", "train") == 0
    first = sum(passes)
    passes.clear()
    taught.edit(method__learning_rate=1e-3, teacher__temperature=1.0, teacher__weight=0.9)
    assert run(taught, "--until", "train") == 0
    stages = {one["stage"]: one["status"] for one in found_in(taught)["stages"]}

    assert first == found_in(taught)["soft_targets"]["rows"]
    assert passes == []
    assert (stages["soft_targets"], stages["train"]) == ("reused", "ran")


def test_without_rows_to_answer_the_labelled_rows_are_learned_softly(taught: Project) -> None:
    taught.edit(teacher__inputs=None, baselines=["majority", "tfidf_svm"])
    shown = taught.run("data", str(taught.recipe))
    planned = json.loads(taught.run("plan", str(taught.recipe), "--format", "json").out)
    assert run(taught, "--until", "gate") == 0
    found = found_in(taught)

    assert "30 rows are trained in 8 steps" in shown.out
    assert (planned["trained"]["train"], planned["trained"]["counted"]) == (30, True)
    assert found["training"]["steps"] == 8
    assert [one["name"] for one in found["baselines"]] == ["majority", "tfidf_svm"]

    assert found["soft_targets"]["rows"] == found["training"]["rows"] == 30
    assert found["teacher"]["asked"] == 0
    assert found["against_teacher"]["teacher_parameters"] > 0


def test_the_lock_records_what_was_learned(taught: Project) -> None:
    assert run(taught) == 0
    lock = json.loads((taught.folder / "recipe.lock.json").read_text("utf-8"))
    targets = lock["accepted"]["teacher"]["targets"]
    again = taught.run("run", str(taught.recipe), "--force", "soft_targets")

    assert len(targets) == 64
    assert again.code == 0, again.err


def test_settings_seeds_and_parts_of_the_rows_find_the_same_targets(
    taught: Project, passes: list[int]
) -> None:
    taught.edit(
        sweep={"list": [{"learning_rate": 5e-3}, {"learning_rate": 1e-3}]},
        learning_curve=True,
        method__seeds=[8],
        method__epochs=1,
    )
    assert run(taught, "--until", "seeds") == 0
    found = found_in(taught)

    assert sum(passes) == found["soft_targets"]["rows"]
    assert len(found["sweep"]["settings"]) == 2
    assert [one["seed"] for one in found["seeds"]["runs"]] == [7, 8]
    assert len(found["learning_curves"]) == 1
