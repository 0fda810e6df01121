from collections.abc import Callable, Mapping

from engine.evidence import Scores
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import agreement, named_metrics, score
from engine.values import replace
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]


def judged(predictions: list[Prediction]) -> Scores:
    return score(
        predictions,
        Judging(task=task("classification", labels=("a", "b")), confidence=0.95, seed=7),
    )


def test_valid_output_of_the_gate_comes_from_free_decoding(answers: Answers) -> None:
    constrained = judged(answers({"a": "aa", "b": "bb"}))
    free = judged(answers({"a": "a-", "b": "bb"}))

    metrics = named_metrics(constrained, free=free)

    assert metrics["valid_output"].value == 0.75
    assert metrics["accuracy"].value == 1.0
    assert named_metrics(constrained)["valid_output"].value == 1.0


def test_agreement_is_the_share_of_equal_labels(answers: Answers) -> None:
    metric = agreement(answers({"a": "ab-b"}), answers({"a": "ab-a"})[::-1], confidence=0.95)

    assert (metric.name, metric.value, metric.n) == ("agreement", 0.75, 4)
    assert metric.interval is not None
    assert metric.interval.method == "wilson"


def test_agreement_of_groups_is_less_sure(answers: Answers) -> None:
    rows = answers({"a": "a" * 40, "b": "b" * 40})
    grouped = [replace(row, group=f"g{place // 20}") for place, row in enumerate(rows)]

    apart = agreement(rows, rows, confidence=0.95).interval
    together = agreement(grouped, grouped, confidence=0.95).interval

    assert apart is not None
    assert together is not None
    assert together.low < 0.55 < apart.low


def test_likelihoods_have_no_answers_that_could_agree(answers: Answers) -> None:
    rows = [replace(row, nats=1.0, tokens=1, bytes=1) for row in answers({"a": "aa"})]

    metric = agreement(rows, rows, confidence=0.95)

    assert (metric.value, metric.undefined) == (None, "likelihoods have no answers to compare")


def test_no_rows_agree_in_nothing() -> None:
    assert agreement([], [], confidence=0.95).undefined == "no rows"


def test_two_outputs_that_are_no_answers_agree_where_they_are_the_same_text(
    answers: Answers,
) -> None:
    one, other = answers({"a": "-"}), answers({"a": "-"})
    different = [replace(row, text="something else") for row in other]

    assert agreement(one, other, confidence=0.95).value == 1
    assert agreement(one, different, confidence=0.95).value == 0
