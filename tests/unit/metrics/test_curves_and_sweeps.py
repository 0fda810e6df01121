import math
from collections.abc import Callable, Mapping, Sequence

import pytest

from engine.errors import StageError
from engine.evidence import HistoryPoint, LearningCurve, SweepResult, TrainingSummary
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.sweeping import SettingResult, ShareResult, choose, last_gains, learning_curve
from engine.values import from_json, replace, to_json
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
TASK = task("classification", labels=("a", "b"))


def curve(*parts: list[Prediction], model: str = "tfidf_svm") -> LearningCurve:
    shares = (0.25, 0.5, 1.0)[-len(parts) :]
    judged = [
        ShareResult(share=share, rows=round(share * 100), predictions=part)
        for share, part in zip(shares, parts, strict=True)
    ]
    return learning_curve(
        model, judged, Judging(task=TASK, confidence=0.95, seed=7), judged_on="validation"
    )


def test_the_gain_is_the_difference_in_macro_f1_and_in_f1(answers: Answers) -> None:
    half = answers({"a": "aabb", "b": "bbbb"})
    whole = answers({"a": "aaab", "b": "bbbb"})

    gains = last_gains(half, whole, Judging(task=TASK, confidence=0.95, seed=7))

    macro = gains["macro_f1"]
    assert macro.value is not None
    assert macro.interval is not None
    # a: 2*2/(2+4) = 2/3 and 2*3/(3+4) = 6/7; b: 2*4/(6+4) = 4/5 and 2*4/(5+4) = 8/9
    assert gains["f1.a"].value == pytest.approx(6 / 7 - 2 / 3)
    assert gains["f1.b"].value == pytest.approx(8 / 9 - 4 / 5)
    assert macro.value == pytest.approx((6 / 7 + 8 / 9 - 2 / 3 - 4 / 5) / 2)
    assert macro.interval.low <= macro.value <= macro.interval.high


def test_a_last_step_beyond_chance_still_gains(answers: Answers) -> None:
    quarter = answers({"a": "a" * 20 + "b" * 80, "b": "b" * 100})
    half = answers({"a": "a" * 50 + "b" * 50, "b": "b" * 100})
    whole = answers({"a": "a" * 80 + "b" * 20, "b": "b" * 100})

    found = curve(quarter, half, whole)

    assert [(point.share, point.rows) for point in found.points] == [
        (0.25, 25),
        (0.5, 50),
        (1.0, 100),
    ]
    assert found.rising is True
    assert found.rising_classes == ("a", "b")
    # F1 of a and b: 100/150 and 200/250 before, 160/180 and 200/220 after
    gain = (160 / 180 + 200 / 220 - 2 / 3 - 4 / 5) / 2
    assert found.message == (
        f"the SVM still gains: {gain:+.3f} macro-F1 from 50 to 100 % of the rows; `a` gains most"
    )


def test_many_rows_that_answer_alike_have_flattened(answers: Answers) -> None:
    rows = answers({"a": "a" * 900 + "b" * 100, "b": "b" * 1000})

    found = curve(rows, rows, rows, model="tuned")

    assert found.rising is False
    assert found.rising_classes == ()
    assert found.message == (
        "the tuned model has flattened: 0.000 macro-F1 from 50 to 100 % of the rows"
    )


def test_few_rows_that_answer_alike_cannot_tell(answers: Answers) -> None:
    rows = answers({"a": "a" * 18 + "b" * 2, "b": "b" * 20})

    found = curve(rows, rows, rows)

    assert found.rising is None
    assert "cannot be decided with 40 judged rows: 0.000 macro-F1" in found.message


def test_a_surely_worse_model_has_flattened(answers: Answers) -> None:
    half = answers({"a": "a" * 100, "b": "b" * 100})
    whole = answers({"a": "a" * 60 + "b" * 40, "b": "b" * 100})

    assert curve(half, half, whole).rising is False


def test_a_class_with_few_judged_rows_is_never_called_rising(answers: Answers) -> None:
    half = answers({"a": "b" * 9, "b": "b" * 200})
    whole = answers({"a": "a" * 9, "b": "b" * 200})

    found = curve(half, half, whole)

    assert found.rising is True
    assert "a" not in found.rising_classes
    assert "`a`" not in found.message


def test_a_missing_class_is_the_reason_that_nothing_can_be_concluded(answers: Answers) -> None:
    rows = answers({"a": "aaaa"})

    found = curve(rows, rows, rows)

    assert found.rising is None
    assert found.message.endswith("cannot be decided: no rows of `b`")


def test_a_single_training_is_no_curve(answers: Answers) -> None:
    assert curve(answers({"a": "ab", "b": "bb"})).rising is None


def likelihoods(nats: float) -> list[Prediction]:
    return [
        Prediction(
            id=f"{place}",
            target="",
            label=None,
            text="",
            probability=None,
            nats=nats + place % 5,
            tokens=8,
            bytes=32,
        )
        for place in range(60)
    ]


def test_fewer_bits_are_a_gain() -> None:
    gains = last_gains(
        likelihoods(20.0), likelihoods(16.0), Judging(task=task("text"), confidence=0.95, seed=7)
    )

    assert [*gains] == ["bits_per_byte"]
    gain = gains["bits_per_byte"]
    assert gain.value == pytest.approx(4 / 32 / math.log(2))
    assert gain.interval is not None
    assert gain.interval.low > 0


def test_fields_of_answers_have_curves_of_their_own() -> None:
    asked = task("extraction", schema={"properties": {"x": {"type": "integer"}}})

    def predictions(right: int) -> list[Prediction]:
        return [
            Prediction(
                id=f"{place}",
                target='{"x":1}',
                label='{"x":1}' if place < right else "{}",
                text="",
                probability=None,
            )
            for place in range(100)
        ]

    judged = [ShareResult(share=0.5, rows=50, predictions=predictions(40))]
    judged.append(ShareResult(share=1.0, rows=100, predictions=predictions(80)))
    found = learning_curve(
        "tuned", judged, Judging(task=asked, confidence=0.95, seed=7), judged_on="validation"
    )

    assert found.rising is True
    assert found.rising_classes == ("x",)
    assert "field F1 from 50 to 100 % of the rows; `x` gains most" in found.message


def test_rows_of_one_group_say_that_there_is_no_interval(answers: Answers) -> None:
    half, whole = (
        [replace(row, group="one speaker") for row in answers({"a": right, "b": "bbbb"})]
        for right in ("aabb", "aaab")
    )

    assert curve(half, whole).message == (
        "whether more rows would help the SVM cannot be decided: "
        "the judged rows, or groups of them, are too few for an interval"
    )


# Choosing among settings by their answers to the same validation rows.
JUDGING = Judging(task=TASK, confidence=0.95, seed=7)


def training(loss: float | None = None, *, kept: int = 4) -> TrainingSummary:
    return TrainingSummary(
        backend="trl",
        backend_version="1",
        device="cpu",
        precision="fp32",
        steps=8,
        epochs=2.0,
        seconds=1.5,
        rows=40,
        supervised_tokens=80,
        trainable_parameters=1000,
        total_parameters=9000,
        kept_step=kept,
        stopped_early=False,
        resumed_from_step=None,
        adapter_norm=1.0,
        history=(
            HistoryPoint(step=4, epoch=1.0, eval_loss=loss),
            HistoryPoint(step=8, epoch=2.0, eval_loss=0.01),
        ),
    )


def judged(
    predictions: Sequence[Prediction], loss: float | None = None, *, rank: int = 8
) -> SettingResult:
    return SettingResult(values={"rank": rank}, training=training(loss), predictions=predictions)


def test_the_best_value_wins_and_the_others_are_behind_it_pair_by_pair(answers: Answers) -> None:
    poor = answers({"a": "a" * 50 + "b" * 50, "b": "b" * 100})
    best = answers({"a": "a" * 90 + "b" * 10, "b": "b" * 100})
    near = answers({"a": "a" * 89 + "b" * 11, "b": "b" * 100})

    found = choose([judged(poor), judged(best), judged(near)], JUDGING, "macro_f1")

    assert (found.chosen, found.rows, found.metric) == (1, 200, "macro_f1")
    assert found.winner.behind is None
    first, _, last = found.settings
    assert first.behind is not None
    assert first.behind.value == pytest.approx(
        (found.winner.metric.value or 0) - (first.metric.value or 0)
    )
    assert not first.may_be_as_good
    assert last.may_be_as_good
    assert from_json(SweepResult, to_json(found)) == found


def test_ties_go_to_the_lower_loss_of_the_kept_checkpoint_then_to_the_earlier(
    answers: Answers,
) -> None:
    predictions = answers({"a": "aab", "b": "bbb"})

    by_loss = choose(
        [judged(predictions, 0.5), judged(predictions, 0.2), judged(predictions)],
        JUDGING,
        "macro_f1",
    )
    by_place = choose([judged(predictions, 0.3), judged(predictions, 0.3)], JUDGING, "macro_f1")

    assert (by_loss.chosen, by_place.chosen) == (1, 0)
    assert [one.validation_loss for one in by_loss.settings] == [0.5, 0.2, None]


def test_less_of_a_loss_is_better_and_behind_is_still_positive(answers: Answers) -> None:
    rows = answers({"a": "aaaaaaaa"})
    good, bad = (
        [replace(row, nats=nats, tokens=5, bytes=20) for row in rows] for nats in (4.0, 9.0)
    )
    chat = Judging(task=task("chat"), confidence=0.95, seed=7)

    found = choose([judged(bad), judged(good)], chat, "bits_per_byte")

    assert found.chosen == 1
    behind = found.settings[0].behind
    assert behind is not None
    assert behind.value is not None
    assert behind.value > 0


def test_a_setting_without_a_model_loses_and_says_why(answers: Answers) -> None:
    lost = SettingResult(values={"rank": 8}, training=None, failed="B414 the loss is not a number")

    found = choose([lost, judged(answers({"a": "ab", "b": "bb"}))], JUDGING, "macro_f1")

    assert found.chosen == 1
    assert found.settings[0].metric.undefined == "B414 the loss is not a number"
    assert (found.settings[0].behind, found.settings[0].steps) == (None, None)
    assert not found.settings[0].may_be_as_good


def test_nothing_is_chosen_where_nothing_can_be_judged() -> None:
    lost = [
        SettingResult(values={"rank": rank}, training=None, failed=f"{rank} ran away")
        for rank in (8, 16)
    ]

    with pytest.raises(StageError, match=r"8 ran away; 16 ran away") as caught:
        choose(lost, JUDGING, "macro_f1")

    assert caught.value.problems[0].code == "B419"


def test_no_rows_choose_nothing() -> None:
    with pytest.raises(StageError, match="undefined for every setting"):
        choose([judged([]), judged([])], JUDGING, "macro_f1")


def test_the_intervals_of_all_settings_hold_together(answers: Answers) -> None:
    best = answers({"a": "a" * 90 + "b" * 10, "b": "b" * 100})
    poor = answers({"a": "a" * 80 + "b" * 20, "b": "b" * 100})

    two, five = (
        choose([judged(best), *[judged(poor)] * many], JUDGING, "macro_f1") for many in (1, 4)
    )

    alone, among = (found.settings[1].behind for found in (two, five))
    assert alone is not None
    assert among is not None
    assert alone.interval is not None
    assert among.interval is not None
    assert alone.interval.confidence == pytest.approx(0.95)
    assert among.interval.confidence == pytest.approx(1 - 0.05 / 4)
    assert among.interval.low < alone.interval.low
    assert among.interval.high > alone.interval.high


def test_a_distance_without_an_interval_tells_no_one_from_the_best(answers: Answers) -> None:
    found = choose(
        [judged(answers({"a": "ab", "b": "bb"})), judged(answers({"a": "aa", "b": "bb"}))],
        JUDGING,
        "macro_f1",
    )
    other = found.settings[0]
    assert other.behind is not None

    assert replace(other, behind=replace(other.behind, interval=None)).may_be_as_good
    assert not found.winner.may_be_as_good
