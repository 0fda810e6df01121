"""The tuned model against the same training without the synthetic rows."""

from engine.evidence import Status
from engine.metrics.comparing import WITHOUT, compare_with, judge_without_synthetic
from engine.metrics.predictions import Judging, Prediction
from engine.recipe.model import Acceptance, MinGain
from support.tasks import task

JUDGING = Judging(task=task("classification", labels=("a", "b")), confidence=0.95, seed=7)


def acceptance(gain: float | None) -> Acceptance:
    gains = () if gain is None else (MinGain(metric="accuracy", min_gain=gain),)
    return Acceptance(
        confidence=0.95,
        decide_on="lower_bound",
        metrics=(),
        over_baselines=(),
        max_overfitting_gap=None,
        over_without_synthetic=gains,
    )


def answered(right: int, of: int = 200) -> list[Prediction]:
    return [
        Prediction(id=str(n), target="a" if n % 2 else "b", text="", probability=None, label=label)
        for n in range(of)
        for label in [("a" if n % 2 else "b") if n < right else ("b" if n % 2 else "a")]
    ]


def status(gain: float, *, tuned: int, without: int) -> Status:
    bounds = acceptance(gain)
    models = answered(tuned), answered(without)
    compared = compare_with(WITHOUT, *models, JUDGING, ["accuracy"])
    (check,) = judge_without_synthetic(compared, bounds)
    assert check.name == "over_without_synthetic.accuracy"
    return check.status


def test_rows_that_help_pass_and_others_do_not() -> None:
    assert status(0.0, tuned=190, without=150) is Status.PASS
    assert status(0.0, tuned=150, without=190) is Status.FAIL
    assert status(0.3, tuned=190, without=150) is Status.FAIL
    assert status(0.0, tuned=151, without=150) is Status.INCONCLUSIVE


def test_nothing_is_judged_without_a_bound_and_nothing_passes_without_numbers() -> None:
    assert judge_without_synthetic((), acceptance(None)) == ()
    (check,) = judge_without_synthetic((), acceptance(0.0))
    assert check.status is not Status.PASS
