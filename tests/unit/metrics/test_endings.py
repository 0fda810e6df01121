"""A model that knows the answers and never ends them is seen, whatever it is bound by."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.evidence import Status
from engine.metrics.contradictions import judge_endings
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.recipe.model import Task
from engine.values import replace

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
