"""Choosing among settings by their answers to the same validation rows."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from engine.errors import StageError
from engine.evidence import HistoryPoint, SweepResult, TrainingSummary
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.sweeping import SettingResult, choose
from engine.values import from_json, replace, to_json
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
TASK = task("classification", labels=("a", "b"))
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
