"""Which of two answers is preferred: ties are wrong, lengths are kept apart, a thumb counts as its direction."""

from typing import Any

import pytest

from engine.evidence import Metric
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from support.tasks import task

JUDGING = Judging(task=task("preference"), confidence=0.95, seed=7)


def pair(place: int, margin: float | None, **given: Any) -> Prediction:
    scored: dict[str, Any] = {"nats": 6.0, "tokens": 3, "bytes": 9}
    scored |= {"rejected_nats": 8.0, "rejected_tokens": 4, "rejected_bytes": 12}
    return Prediction(
        id=f"{place}",
        target="",
        label=None,
        text="",
        probability=None,
        margin=margin,
        **(scored | given),
    )


def judged(*rows: Prediction) -> dict[str, Metric]:
    return {one.name: one for one in score(rows, JUDGING).metrics}


def test_a_tie_and_a_row_without_a_margin_are_wrong() -> None:
    found = judged(pair(1, 0.5), pair(2, 0.0), pair(3, None), pair(4, -1.0))

    accuracy = found["preference_accuracy"]
    assert (accuracy.value, accuracy.n) == (0.25, 4)
    assert accuracy.interval is not None
    assert accuracy.interval.method == "wilson"
    assert found["preference_margin"].value == -0.125


def test_accuracy_is_distinguished_by_which_answer_is_longer() -> None:
    longer = {"bytes": 20}
    found = judged(pair(1, 1.0, **longer), pair(2, -1.0, **longer), pair(3, 1.0), pair(4, 1.0))

    assert found["accuracy_chosen_longer"].value == 0.5
    assert (found["accuracy_chosen_shorter"].value, found["accuracy_chosen_shorter"].n) == (1.0, 2)
    none = judged(pair(1, 1.0, **longer))["accuracy_chosen_shorter"]
    assert (none.value, none.undefined) == (None, "no chosen answer is the shorter one")


def test_the_log_probability_is_of_the_answers_that_are_wanted() -> None:
    up, down = pair(1, 1.0, rejected_bytes=0), pair(2, 1.0, nats=50.0, desirable=False)

    assert judged(up, down)["chosen_log_probability"].value == pytest.approx(-2.0)


def test_without_likelihoods_there_is_an_accuracy_and_no_margin() -> None:
    found = judged(pair(1, 3.0, nats=None), pair(2, -3.0, nats=None))

    assert found["preference_accuracy"].value == 0.5
    assert found["preference_margin"].undefined == "no likelihoods are known"
    assert found["chosen_log_probability"].undefined == "no likelihoods are known"
