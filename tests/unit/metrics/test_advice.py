from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.evidence import (
    Check,
    ClassScores,
    Comparison,
    Diagnosis,
    Fit,
    LearningCurve,
    Metric,
    RecipeEdit,
    Scores,
    Status,
    Verdict,
)
from engine.metrics.diagnosis import Beside, what_would_help
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.values import replace
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
Advice = Callable[..., tuple[str, ...]]
LABELS = ("a", "b")
TASK = task("classification", labels=LABELS)
RIGHT = {"a": "a" * 40, "b": "b" * 40}


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


def curve(model: str, *, rising: bool | None, classes: tuple[str, ...] = ()) -> LearningCurve:
    return LearningCurve(
        model=model,
        judged_on="validation",
        points=(),
        rising=rising,
        rising_classes=classes,
        message="",
    )


def diagnosis(fit: Fit) -> Diagnosis:
    edits = (
        RecipeEdit(key="method.epochs", current="1", proposed="5"),
        RecipeEdit(key="method.learning_rate", current="0.0002", proposed="0.001"),
    )
    return Diagnosis(fit=fit, reasons=("",), edits=edits)


@pytest.fixture
def advice(answers: Answers) -> Advice:
    """Advice on answers by target, where the checks of a verdict are open; all answers are right if none are given."""

    def lines(verdict: Verdict, given: Mapping[str, str] = RIGHT, **beside: Any) -> tuple[str, ...]:
        scores = score(answers(given), Judging(task=TASK, confidence=0.95, seed=7))
        return what_would_help(scores, verdict, task=TASK, beside=Beside(**beside))

    return lines


SVM, TUNED = curve("tfidf_svm", rising=True), curve("tuned", rising=False)


@pytest.mark.parametrize(
    ("verdict", "given", "beside", "expected"),
    [
        (refused("macro_f1"), {"a": "a" * 40 + "b" * 3, "b": "b" * 21 + "a" * 19}, {},
         ("`b` is taken for `a` 19 times", "`a` is taken for `b` 3 times")),
        (refused("accuracy"), {"a": "a" * 40, "b": "b" * 40 + "--"}, {},
         ("2 of 82 outputs are no label at all",)),
        (refused("f1.b"), {"a": "a" * 40, "b": "bbba"}, {},
         ("`b` is taken for `a` once", "`b` has only 4 holdout rows: its scores are loose")),
        (refused("valid_output", Status.INCONCLUSIVE, note="about 700 rows would decide; free decoding"), RIGHT, {},
         ("valid_output: about 700 rows would decide",)),
        (refused("over_previous.accuracy", got=0.1, bound=0.02, direction="max"), RIGHT, {},
         ("over_previous.accuracy: the last accepted model is better; keep it",)),
        (refused("macro_f1"), RIGHT, {"curves": (curve("tuned", rising=True, classes=("b",)),)},
         ("the learning curve still rises: more rows would help, most of all rows of `b`",)),
        (refused("macro_f1"), RIGHT, {"curves": (SVM,)},
         ("the SVM's learning curve still rises: more rows would help",)),
        (refused("macro_f1"), RIGHT, {"curves": (SVM, TUNED)},
         ("the learning curve has flattened: more rows of the same kind would help little",)),
    ],
)  # fmt: skip
def test_advice_is_what_the_numbers_suggest(
    advice: Advice,
    verdict: Verdict,
    given: Mapping[str, str],
    beside: dict[str, Any],
    expected: tuple[str, ...],
) -> None:
    assert advice(verdict, given, **beside) == expected


def test_a_bound_that_only_the_file_misses_asks_for_more_bits(
    advice: Advice,
) -> None:
    [line] = advice(refused("macro_f1"), is_of_file=True)

    assert line.startswith("macro_f1: the tuned model keeps its bounds")
    assert "Q8_0" in line


def test_each_kind_of_refusal_has_a_remedy(advice: Advice) -> None:
    for name in ("overfitting", "valid_output", "agreement", "drop.macro_f1", "schema_validity"):
        assert len(advice(refused(name))) == 1
    [line] = advice(refused("over_baselines.accuracy", got=-0.1))
    assert "as good or better: use it where it passes" in line


def test_a_remedy_of_several_checks_stands_once(advice: Advice) -> None:
    found = ("over_baselines.macro_f1", "over_baselines.accuracy", "agreement")
    checks = [check for name in found for check in refused(name, got=-0.1).checks]

    lines = advice(Verdict(status=Status.FAIL, checks=tuple(checks)))

    assert [line.partition(": ")[0] for line in lines] == [
        "over_baselines.macro_f1 and over_baselines.accuracy",
        "agreement",
    ]


@pytest.mark.parametrize("fit", [Fit.UNDERFITTED, Fit.OVERFITTED])
def test_the_edit_of_the_recipe_comes_before_everything_else(advice: Advice, fit: Fit) -> None:
    rising = (curve("tuned", rising=True),)
    lines = advice(refused("macro_f1"), curves=rising, diagnosis=diagnosis(fit))

    assert lines[0] == (
        "change method.epochs from 1 to 5, method.learning_rate from 0.0002 to 0.001"
    )
    assert any("more rows" in line for line in lines) is (fit is Fit.OVERFITTED)


def test_a_first_cause_is_advised_and_neither_rows_nor_another_training(
    advice: Advice,
) -> None:
    found = replace(diagnosis(Fit.FITS), edits=(), cause="a base model of the rows' language")
    verdicts = (refused("macro_f1"), refused("over_baselines.macro_f1", got=-0.1))
    checks = tuple(check for one in verdicts for check in one.checks)

    lines = advice(
        Verdict(status=Status.FAIL, checks=checks),
        curves=(curve("tuned", rising=True),),
        diagnosis=found,
    )

    assert lines[0] == "a base model of the rows' language"
    words = ("more rows", "train longer", "epochs")
    assert not any(word in line for line in lines for word in words)


@pytest.mark.parametrize("name", ["parity.f16", "drop.macro_f1", "weights"])
def test_what_only_a_form_of_the_model_does_asks_for_no_other_training(
    advice: Advice, name: str
) -> None:
    lines = advice(refused(name), diagnosis=diagnosis(Fit.UNDERFITTED), is_of_file=True)

    assert not any("method.epochs" in line for line in lines)


@pytest.mark.parametrize("fit", [Fit.UNDERFITTED, Fit.FITS])
def test_a_model_that_learned_too_little_is_not_given_more_rows_to_beat_a_baseline(
    advice: Advice, fit: Fit
) -> None:
    lines = advice(refused("over_baselines.accuracy", got=-0.1), diagnosis=diagnosis(fit))

    assert ("more rows" in lines[-1]) is (fit is Fit.FITS)


def advice_lines(kind: str, name: str, scores: Scores, **beside: Any) -> tuple[str, ...]:
    return what_would_help(
        scores, refused(name, got=0.03, bound=0.4), task=task(kind), beside=Beside(**beside)
    )


def metric(name: str, value: float) -> Metric:
    return Metric(name=name, value=value, n=200)


def scored(*metrics: Metric, classes: tuple[ClassScores, ...] = ()) -> Scores:
    return Scores(rows=200, metrics=metrics, classes=classes, confusion=())


def of_class(label: str, f1: float, *, recall: float, support: int, predicted: int) -> ClassScores:
    return ClassScores(
        label=label,
        precision=recall * support / predicted,
        recall=recall,
        f1=f1,
        support=support,
        predicted=predicted,
    )


def test_advice_on_a_generator_is_what_is_nearly_right_and_what_training_changed() -> None:
    comparison = Comparison(
        name="zero_shot",
        metric="numeric_match",
        difference=0.01,
        interval=None,
        p_value=0.5,
        p_adjusted=0.5,
        test="McNemar's exact test",
        n=200,
    )
    scores = scored(metric("exact_match", 0.0), metric("normalised_match", 0.02))

    lines = advice_lines("generation", "numeric_match", scores, comparisons=(comparison,))

    assert lines == (
        "4 outputs are right but for case, punctuation or white space",
        "training moved numeric_match by +0.010 against zero_shot",
    )


def test_the_worst_fields_of_an_answer_are_named() -> None:
    scores = scored(
        classes=(
            of_class("name", 0.97, recall=0.97, support=180, predicted=180),
            of_class("items.count", 0.41, recall=0.4, support=150, predicted=160),
            of_class("date", 0.7, recall=0.7, support=90, predicted=90),
            of_class("place", 1.0, recall=1.0, support=90, predicted=90),
        )
    )

    assert advice_lines("extraction", "field_f1", scores) == (
        "field `items.count` has an F1 of 0.41 on 150 values",
        "field `date` has an F1 of 0.70 on 90 values",
    )
    assert advice_lines("extraction", "schema_validity", scores) == (
        "schema_validity: name the fields and their types in task.instruction",
    )


def test_labels_that_are_missed_or_given_in_vain_are_named() -> None:
    scores = scored(
        classes=(
            of_class("a", 0.9, recall=0.9, support=100, predicted=95),
            of_class("b", 0.5, recall=0.5, support=60, predicted=61),
        )
    )

    assert advice_lines("multilabel", "macro_f1", scores) == (
        "`b` is missed 30 times and given 31 times where it is not",
        "`a` is missed 10 times and given 5 times where it is not",
    )
