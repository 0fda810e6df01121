"""A validation loss that the answers to the same rows deny, and answers to rows of the same draw."""

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.evidence import Status
from engine.metrics.contradictions import (
    holdout_against_validation,
    judge_endings,
    loss_against_answers,
    nats_at_least,
)
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.recipe.model import Recipe, Task
from engine.runtime.scoring.label_search import TOLERANCE
from engine.values import replace

SPEC = SimpleNamespace(has_labels=True)


def recipe(loss_on: str = "answers", teacher: object = None, by: str = "random") -> Recipe:
    found = SimpleNamespace(
        task=SimpleNamespace(spec=SPEC),
        method=SimpleNamespace(loss_on=loss_on),
        teacher=teacher,
        splits=SimpleNamespace(by=by),
    )
    return cast("Recipe", found)


def training(eval_loss: float | None, *, step: int = 8) -> Any:
    history = (
        SimpleNamespace(step=4, eval_loss=0.0),
        SimpleNamespace(step=step, eval_loss=eval_loss),
    )
    return SimpleNamespace(history=history, kept_step=8, rows=100, supervised_tokens=300)


def rows(wrong: int, of: int = 40, probability: float = 0.9) -> list[Prediction]:
    return [
        Prediction(
            id=str(n), target="a", label="b" if n < wrong else "a", text="", probability=probability
        )
        for n in range(of)
    ]


def test_a_wrong_answer_has_a_least_loss() -> None:
    assert nats_at_least(rows(0)) == 0.0
    assert nats_at_least(rows(40, probability=0.3)) == pytest.approx(math.log(2))
    assert nats_at_least(rows(20, probability=0.9)) == pytest.approx(-math.log(0.101) / 2)


def test_answers_that_the_search_left_out_are_no_proof_of_a_loss() -> None:
    """A model that is sure of itself has a share of 1, where others have less than the search looks for."""
    sure = rows(21, of=100, probability=1.0)

    assert nats_at_least(sure) == pytest.approx(-math.log(TOLERANCE) * 0.21)
    assert loss_against_answers(recipe(), training(0.5), sure) is None


@pytest.mark.parametrize(
    ("eval_loss", "wrong", "is_denied"),
    [(0.01, 20, True), (0.01, 1, False), (0.5, 20, False), (0.01, 0, False), (None, 40, False)],
)
def test_a_loss_is_denied_by_wrong_answers_alone(
    eval_loss: float | None, wrong: int, is_denied: bool
) -> None:
    problem = loss_against_answers(recipe(), training(eval_loss), rows(wrong))

    assert (problem is not None and problem.code == "B430") is is_denied


def test_the_loss_of_other_weights_or_of_whole_texts_denies_nothing() -> None:
    assert loss_against_answers(recipe(), training(0.01, step=12), rows(20)) is None
    assert loss_against_answers(recipe("everything"), training(0.01), rows(20)) is None
    assert loss_against_answers(recipe(), training(0.01), rows(5, of=5)) is None
    assert loss_against_answers(recipe(teacher="soft"), training(0.01), rows(20)) is None


@pytest.mark.parametrize(
    ("validation", "holdout", "is_denied"),
    [
        (rows(0), rows(40, of=80), True),  # labels of other rows
        (rows(20), rows(0, of=80), True),
        (rows(2), rows(8, of=80), False),
        (rows(0), rows(12, of=80), False),  # once in 180
        (rows(40, of=400), rows(62, of=400), False),  # surely worse, by a twentieth
        (rows(0, of=5), rows(80, of=80), False),
    ],
)
def test_rows_that_chance_has_divided_are_answered_alike(
    validation: list[Prediction], holdout: list[Prediction], is_denied: bool
) -> None:
    problem = holdout_against_validation(recipe(), validation, holdout)

    assert (problem is not None and problem.code == "B432") is is_denied


@pytest.mark.parametrize("by", ["time", "group", "column", "files"])
def test_rows_that_are_divided_otherwise_may_differ(by: str) -> None:
    assert holdout_against_validation(recipe(by=by), rows(0), rows(40, of=80)) is None


# A model that knows the answers and never ends them is seen, whatever it is bound by.
TASK = Task(
    kind="classification",
    instruction="",
    system="",
    input="{text}",
    labels=("good", "bad"),
    schema=None,
    output="text",
)
GENERATION = replace(TASK, kind="generation", labels=())
CHAT = replace(TASK, kind="chat", labels=())


def predictions(count: int, right: int, *, valid: int | None = None) -> list[Prediction]:
    """Answers of which the first are right, or valid at all."""
    rows = []
    for at in range(count):
        target = TASK.labels[at % 2]
        label: str | None = target if at < right else TASK.labels[1 - at % 2]
        if valid is not None and at >= valid:
            label = None
        rows.append(
            Prediction(id=f"{at:016x}", target=target, label=label, text="", probability=None)
        )
    return rows


def judged(
    task: Task, chosen: Sequence[Prediction], free: Sequence[Prediction] | None = None
) -> tuple[str, Status] | None:
    scores = score(chosen, Judging(task=task, confidence=0.95, seed=7))
    loose = None if free is None else score(free, Judging(task=task, confidence=0.95, seed=7))
    checks = judge_endings(task, chosen, scores=scores, free=loose)
    return (checks[0].name, checks[0].status) if checks else None


@pytest.mark.parametrize(
    ("valid", "status"),
    [
        (40, Status.PASS),
        (36, Status.PASS),
        (35, Status.WARN),
        (20, Status.WARN),
        (19, Status.FAIL),
        (0, Status.FAIL),
    ],
)
def test_free_output_is_compared_with_constrained_output(valid: int, status: Status) -> None:
    chosen = predictions(40, 38)

    assert judged(TASK, chosen, predictions(40, 40, valid=valid)) == ("free_output", status)


def test_a_model_that_has_learned_nothing_is_warned_of() -> None:
    assert judged(TASK, predictions(40, 22), predictions(40, 40, valid=0)) == (
        "free_output",
        Status.WARN,
    )


@pytest.mark.parametrize(
    ("ended", "status"), [(10, Status.PASS), (8, Status.WARN), (4, Status.FAIL)]
)
def test_free_answers_that_run_into_their_limit_are_counted(ended: int, status: Status) -> None:
    chosen = [
        replace(row, target="a b c", label="a b c", text="a b c", ended=at < ended)
        for at, row in enumerate(predictions(10, 10))
    ]

    assert judged(GENERATION, chosen) == ("ended", status)


@pytest.mark.parametrize(("nats", "status"), [(0.1, Status.FAIL), (30.0, Status.WARN)])
def test_a_chat_that_would_not_end_its_turn_is_seen(nats: float, status: Status) -> None:
    chosen = [
        replace(row, label=None, nats=nats, tokens=10, bytes=30, ended=False)
        for row in predictions(10, 0)
    ]

    assert judged(CHAT, chosen) == ("ended", status)


def test_documents_have_no_turn_to_end() -> None:
    text = replace(TASK, kind="text", labels=())
    chosen = [replace(row, label=None, nats=1.0, tokens=1, bytes=1) for row in predictions(4, 0)]

    assert judged(text, chosen) is None


def test_predictions_of_earlier_versions_are_read_as_ended(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    rows = [replace(row, ended=at > 0) for at, row in enumerate(predictions(2, 2))]
    write_predictions(path, rows)

    assert read_predictions(path) == rows
    first, second = path.read_text().splitlines()
    assert ('"ended": false' in first, "ended" in second) == (True, False)
