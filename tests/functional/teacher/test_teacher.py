"""Whole recipes with a teacher: a scripted server, or a model in a folder, that answers rows without labels."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.chat_service import Body, Service, Trouble, serving
from support.encoders import make_tiny_encoder
from support.project import GOOD, Project, rows
from support.runs import report

pytestmark = pytest.mark.thorough
UNLABELLED = 60
KNOWN = 140
"""Rows of the project's own file, with which the unlabelled ones share none but those planted."""


def oracle(body: Body) -> str:
    """Answer rightly: every row holds words of one class only."""
    text = body["messages"][-1]["content"]
    return "positive" if any(word in text for word in GOOD) else "negative"


def parrot(body: Body) -> str:
    """Answer always the same."""
    del body
    return "positive"


def write_unlabelled(project: Project, texts: list[str]) -> None:
    with (project.folder / "unlabelled.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text",), *((text,) for text in texts)])


def new_texts(count: int) -> list[str]:
    known = {text for text, _ in rows(KNOWN)}
    return [text for text, _ in rows(count + 20, seed=5) if text not in known][:count]


def with_teacher(project: Project, model: dict[str, Any] | str, **more: Any) -> None:
    inputs = {"sources": [{"path": "unlabelled.csv"}]} | more.pop("inputs", {})
    more = {"stop_if_teacher_is_no_better": False} | more
    project.edit(
        allow_moving=True,
        teacher={"model": model, "inputs": inputs, **more},
        splits__train=30,
        splits__validation=20,
        baselines=["majority", "tfidf_svm"],
        data__checks={"leakage": "warn", "near_duplicates": "off"},
    )


@pytest.fixture
def served() -> Iterator[Service]:
    with serving(Service(answer=oracle)) as service:
        yield service


def endpoint(service: Service) -> dict[str, Any]:
    return {"endpoint": service.url, "model": "served", "price": {"input": 1.0, "output": 2.0}}


def found_in(project: Project) -> dict[str, Any]:
    return report(project.folder / ".recipe")


def test_answers_of_a_teacher_are_trained_on_and_nothing_is_asked_twice(
    project: Project, served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    write_unlabelled(project, new_texts(UNLABELLED))
    with_teacher(project, endpoint(served))
    outcome = project.run("run", str(project.recipe))
    found, asked = found_in(project), len(served.asked)
    teacher = found["teacher"]

    assert outcome.code == 0, outcome.err
    assert teacher["kept"] > 30
    assert teacher["asked"] + sum(teacher["left_out"].values()) == UNLABELLED
    assert sum(teacher["labels"].values()) == teacher["kept"]
    assert found["training"]["rows"] == 30 + teacher["kept"]
    assert asked == teacher["asked"] + 20 + 40, "validation, holdout and each row once"
    assert teacher["cost"] == pytest.approx((10 * asked + 2 * asked) / 1e6)
    assert "tfidf_svm_teacher_rows" in [one["name"] for one in found["baselines"]]

    project.edit(method__learning_rate=1e-3)
    again = project.run("run", str(project.recipe))

    assert again.code == 0, again.err
    assert len(served.asked) == asked


def test_a_run_that_was_cut_off_asks_only_the_rows_that_are_left(
    project: Project, served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    write_unlabelled(project, new_texts(UNLABELLED))
    with_teacher(project, endpoint(served))
    served.trouble = lambda _body, asked: Trouble(status=400, body={}) if asked > 45 else None
    cut = project.run("run", str(project.recipe), "--until", "teach")
    first = [json.dumps(body) for body in served.asked]
    served.trouble = lambda _body, _asked: None
    again = project.run("run", str(project.recipe), "--until", "teach")
    second = [json.dumps(body) for body in served.asked[len(first) :]]

    assert (cut.code, again.code) == (3, 0), again.err
    assert "E724" in cut.err
    answered = set(first[:40])
    assert not answered & set(second)
    assert len({*first, *second}) == 20 + 40 + found_in(project)["teacher"]["asked"]


def test_a_teacher_that_is_no_better_ends_the_run_before_it_is_asked_for_labels(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    write_unlabelled(project, new_texts(UNLABELLED))
    with serving(Service(answer=parrot)) as service:
        with_teacher(project, endpoint(service), stop_if_teacher_is_no_better=True)
        outcome = project.run("run", str(project.recipe))
        found = found_in(project)
        asked = len(service.asked)
        project.edit(teacher__stop_if_teacher_is_no_better=False)
        anyway = project.run("run", str(project.recipe))

    assert (outcome.code, found["outcome"]) == (1, "teacher_no_better")
    assert asked == 20, "the validation rows, and no other"
    assert "the teacher `teacher` has macro_f1" in found["summary"]
    assert found["training"] is None
    assert anyway.code == 0, anyway.err
    assert found_in(project)["teacher"]["asked"] > 30


@pytest.mark.parametrize(
    ("stops", "teach", "later"),
    [
        (True, "if no baseline passes", "if the teacher is better"),
        (False, "after baseline", "after teach"),
    ],
)
def test_a_plan_says_what_a_teacher_waits_for_and_that_it_adds_rows(
    stops: bool, teach: str, later: str, project: Project
) -> None:
    write_unlabelled(project, new_texts(UNLABELLED))
    with_teacher(project, {"path": "base"}, targets="soft", stop_if_teacher_is_no_better=stops)
    project.edit(stop_if_baseline_passes=stops)
    data = project.run("data", str(project.recipe))

    outcome = project.run("plan", str(project.recipe), "--explain")

    shown = {
        line.split()[0]: " ".join(line.split()[2:])
        for line in outcome.out.splitlines()
        if line.strip()
    }
    assert shown["teach"] == teach
    assert shown["soft_targets"] == later
    assert shown["unknown"] == "many rows train is known after the stage `teach`"
    assert "rows are counted by the stage `teach`" in " ".join(outcome.out.split())
    assert data.code == 0, data.err
    assert "the stage `teach` adds rows: how many are trained is known after it" in data.out
    assert "rows are trained in" not in data.out


def test_a_teacher_whose_answers_are_all_refused_ends_the_run_before_training(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    write_unlabelled(project, new_texts(UNLABELLED))
    with serving(Service(answer=lambda _body: "neither of them")) as service:
        with_teacher(project, endpoint(service))
        outcome = project.run("run", str(project.recipe))
    found = found_in(project)

    assert (outcome.code, found["outcome"]) == (1, "nothing_added"), outcome.err
    assert "no answer of the teacher is left to learn from" in found["summary"]
    assert found["training"] is None


def test_a_model_in_a_folder_teaches_and_unsure_answers_are_left_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    write_unlabelled(project, new_texts(UNLABELLED))
    make_tiny_encoder(project.folder / "encoder")
    with_teacher(
        project,
        {"path": "base", "name": "self"},
        keep={"confidence": {"min": 0.999}},
        inputs={"rows": 25},
    )
    project.edit(
        baselines=["tfidf_svm", {"encoder_linear": {"path": "encoder"}}],
        acceptance__against_teacher={
            "macro_f1": {"max_drop": 0.9},
            "parameters": {"max_ratio": 2},
            "rows_per_second": {"min_ratio": 0.001},
        },
    )
    outcome = project.run("run", str(project.recipe), "--until", "gate")
    teacher = found_in(project)["teacher"]

    against = found_in(project)["against_teacher"]
    ratios = [one for one in found_in(project)["gate"]["checks"] if "teacher" in one["name"]]

    assert outcome.code == 0, outcome.err
    assert (teacher["name"], teacher["asked"]) == ("self", 25)
    assert against["teacher_parameters"] < against["parameters"], "an adapter is added to the base"
    named = [one["name"] for one in found_in(project)["baselines"]]
    assert named[2:] == ["tfidf_svm_teacher_rows", "encoder_linear_teacher_rows"]
    rightness = ("both_right", "only_teacher_right", "only_student_right", "neither_right")
    assert sum(against[name] for name in rightness) == 40
    assert [one["name"] for one in ratios] == [
        "against_teacher.macro_f1",
        "teacher_ratio.parameters",
        "teacher_ratio.rows_per_second",
    ]
    assert teacher["left_out"]["more than are asked"] > 0
    assert teacher["refused"]["below the confidence"] + teacher["kept"] == 25
    assert teacher["confidence"][-1]["confidence"] == 0.999
    assert teacher["cost"] is None


def test_a_baseline_teaches_what_it_learned_of_the_training_rows(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    texts = new_texts(UNLABELLED)
    write_unlabelled(project, texts)
    make_tiny_encoder(project.folder / "encoder")
    with_teacher(project, "encoder_linear", stop_if_teacher_is_no_better=True)
    project.edit(
        baselines=["majority", {"encoder_linear": {"path": "encoder", "optional": True}}],
        stop_if_baseline_passes=False,
        acceptance__against_teacher={"macro_f1": {"max_drop": 0.9}},
    )
    planned = project.run("plan", str(project.recipe))
    outcome = project.run("run", str(project.recipe), "--until", "gate")
    found = found_in(project)
    teacher, trained = (
        found["teacher"],
        {one["name"]: one["rows"] for one in found["data"]["splits"]},
    )

    assert "`encoder_linear` is trained on the training rows and is asked" in " ".join(
        planned.out.split()
    )
    assert outcome.code == 0, outcome.err
    assert (teacher["name"], teacher["is_better"]) == ("encoder_linear", True)
    assert list(teacher["baselines"]) == ["majority"], "it has not to beat itself"
    assert teacher["asked"] == teacher["kept"] > 40
    assert found["training"]["rows"] == trained["train"] + teacher["kept"]
    right = [
        line["answer"] == oracle({"messages": [{"content": texts[_line_of(line) - 2]}]})
        for line in _answers(project)
    ]
    assert sum(right) / len(right) > 0.8
    assert found["against_teacher"]["comparisons"], "the student is compared with it on the holdout"
    assert "model: encoder_linear" in found["resolved_recipe"]


def _line_of(answer: dict[str, Any]) -> int:
    return int(answer["origin"].rpartition(":")[2])


def _answers(project: Project) -> list[dict[str, Any]]:
    files = list((project.folder / ".recipe" / "store").rglob("answers.jsonl"))
    lines: list[dict[str, Any]] = []
    for file in files:
        lines += [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]
    return [line for line in lines if "kept" in line]
