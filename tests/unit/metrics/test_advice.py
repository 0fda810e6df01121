from __future__ import annotations

from collections.abc import Callable, Mapping

from filling import task

from engine.evidence import Check, Interval, LearningCurve, Status, Verdict
from engine.metrics.advice import what_would_help
from engine.metrics.predictions import Prediction
from engine.metrics.scoring import score

Answers = Callable[[Mapping[str, str]], list[Prediction]]
LABELS = ("a", "b")
TASK = task("classification", labels=LABELS)


def refused(name: str, status: Status = Status.FAIL, **changes: object) -> Verdict:
    values: dict[str, object] = {
        "name": name,
        "status": status,
        "got": 0.7,
        "direction": "min",
        "bound": 0.8,
        "decided_on": "lower bound",
        "n": 300,
    }
    check = Check(**(values | changes))  # type: ignore[arg-type]
    return Verdict(status=status, checks=(check,))


def advice(predictions: list[Prediction], verdict: Verdict) -> tuple[str, ...]:
    scores = score(predictions, TASK, confidence=0.95, seed=7)
    return what_would_help(scores, verdict, labels=LABELS)


def test_the_most_confused_labels_are_named_worst_first(answers: Answers) -> None:
    lines = advice(
        answers({"a": "a" * 40 + "b" * 3, "b": "b" * 21 + "a" * 19}), refused("macro_f1")
    )

    assert lines == ("`b` is taken for `a` 19 times", "`a` is taken for `b` 3 times")


def test_outputs_that_are_no_label_are_counted(answers: Answers) -> None:
    lines = advice(answers({"a": "a" * 40, "b": "b" * 40 + "--"}), refused("accuracy"))

    assert lines == ("2 of 82 outputs are no label at all",)


def test_a_class_with_few_rows_is_named(answers: Answers) -> None:
    lines = advice(answers({"a": "a" * 40, "b": "bbba"}), refused("f1.b"))

    assert "`b` has only 4 holdout rows: its scores are loose" in lines


def test_an_undecided_check_says_what_would_decide_it(answers: Answers) -> None:
    unsure = refused(
        "valid_output",
        Status.INCONCLUSIVE,
        interval=Interval(low=0.6, high=0.9, confidence=0.95, method="wilson"),
        note="about 700 rows would decide (an estimate); free decoding",
    )

    assert advice(answers({"a": "a", "b": "b"}), unsure) == (
        "valid_output: about 700 rows would decide (an estimate)",
    )


def test_each_kind_of_refusal_has_a_remedy(answers: Answers) -> None:
    rows = answers({"a": "a" * 40, "b": "b" * 40})

    for name in ("overfitting", "valid_output", "agreement", "drop.macro_f1", "schema_validity"):
        assert len(advice(rows, refused(name))) == 1
    assert (
        "the baseline is as good" in advice(rows, refused("over_baselines.accuracy", got=-0.1))[0]
    )


def test_a_verdict_that_passed_needs_no_advice(answers: Answers) -> None:
    assert advice(answers({"a": "ab", "b": "ab"}), refused("macro_f1", Status.PASS)) == ()


def curve(model: str, *, rising: bool | None, classes: tuple[str, ...] = ()) -> LearningCurve:
    return LearningCurve(
        model=model,
        judged_on="validation",
        points=(),
        rising=rising,
        rising_classes=classes,
        message="",
    )


def curve_advice(answers: Answers, *curves: LearningCurve) -> tuple[str, ...]:
    scores = score(answers({"a": "a" * 40, "b": "b" * 40}), TASK, confidence=0.95, seed=7)
    return what_would_help(scores, refused("macro_f1"), labels=LABELS, curves=curves)


def test_a_curve_that_still_rises_asks_for_more_rows(answers: Answers) -> None:
    lines = curve_advice(answers, curve("tuned", rising=True, classes=("b",)))

    assert lines == (
        "the learning curve still rises: more rows would help, most of all rows of `b`",
    )


def test_the_tuned_models_curve_counts_more_than_the_hint(answers: Answers) -> None:
    svm, tuned = curve("tfidf_svm", rising=True), curve("tuned", rising=False)

    assert curve_advice(answers, svm) == (
        "the SVM's learning curve still rises: more rows would help",
    )
    assert curve_advice(answers, svm, tuned) == (
        "the learning curve has flattened: more rows of the same kind would help little",
    )


def test_a_curve_that_cannot_tell_advises_nothing(answers: Answers) -> None:
    assert curve_advice(answers, curve("tuned", rising=None)) == ()


def test_kinds_without_labels_are_advised_by_what_they_are() -> None:
    scores = score([], task("generation"), confidence=0.95, seed=7)

    lines = what_would_help(scores, refused("valid_output"), labels=())

    assert lines == ("free output is often no answer: say its form in task.instruction",)
    assert what_would_help(
        scores, refused("rouge_l"), labels=(), curves=(curve("tuned", rising=False),)
    ) == ("the learning curve has flattened: more rows of the same kind would help little",)
