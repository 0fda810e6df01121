"""Training rows that a check drops after the draw: replaced by unused ones, or reported as missing."""

import random
from typing import Any

import pytest

from engine.data.prepare import Prepared, prepare
from engine.data.reading.row import Row
from engine.recipe.model import FROM_TRAIN, Checks, Data, LabelSpec, Splits, Task
from engine.render.report.sections.data import split_lines
from engine.values import fields, replace
from support.prepared import Pair, find_leaks, pairs, run, sentence

SIZES = (60, 10, 30)
TASK = Task(
    kind="classification", instruction="?", system="", input="{text}", labels=("bad", "good"),
    schema=None, output="text",
)  # fmt: skip


def divided(of: list[dict[str, Any]], splits: Splits, **more: Any) -> Prepared:
    actions: dict[str, Any] = dict.fromkeys((one.name for one in fields(Checks)), "off")
    actions |= {"leakage": more.pop("leakage", "drop")}
    data = Data(
        sources=(), label=LabelSpec(column="label", relabel=(), bins=(), separator=","),
        shape="auto", answer=None, messages=None, pair=None, sample=None, checks=Checks(**actions),
    )  # fmt: skip
    rows = [Row(origin=f"r:{number}", values=one) for number, one in enumerate(of)]
    return prepare(rows, TASK, data=data, splits=splits, refuse=False, **more)


def asked(by: Any = "stratified", column: str = "", **changes: Any) -> Splits:
    train, validation, holdout = SIZES
    found = Splits(
        by=by, column=column, train=train, validation=validation, holdout=holdout, folds=0, seed=7
    )
    return replace(found, **changes)


def values(of: list[Pair]) -> list[dict[str, Any]]:
    times = random.Random(7).sample(range(len(of)), len(of))
    return [
        {"text": text, "label": label, "group": f"g{number % 37}", "at": at}
        for number, ((text, label), at) in enumerate(zip(of, times, strict=True))
    ]


def leaky(count: int, copies: int) -> list[Pair]:
    """Rows of which some of train nearly repeat rows of the holdout, whichever are drawn."""
    known = pairs(count)
    return [*known, *((f"{text}s", label) for text, label in known[:copies])]


def ids(prepared: Prepared, split: str) -> list[str]:
    return [one.id for one in getattr(prepared, split)]


def train_of(prepared: Prepared) -> Any:
    return prepared.summary.splits[0]


def test_unused_rows_take_the_places_of_those_that_leak() -> None:
    dropped, kept = (run(leaky(160, 60), leakage=action) for action in ("drop", "warn"))
    train = train_of(dropped)

    assert train.left_out["leakage"] > 2
    assert (len(dropped.train), train.asked, train.replaced) == (60, 60, train.left_out["leakage"])
    assert train.labels == {"bad": 30, "good": 30} or abs(train.labels["bad"] - 30) <= 3
    assert list(find_leaks(list(dropped.holdout), list(dropped.train))) == []
    assert ids(dropped, "holdout") == ids(kept, "holdout")
    assert len(set(ids(dropped, "train")) - set(ids(kept, "train"))) == train.replaced
    left = train.left_out["leakage"]
    assert split_lines(dropped.summary)[0] == (
        f"train 60 of 60 asked: {left} dropped by leakage, {left} unused rows in their place"
    )


def test_without_drops_the_draw_is_the_same_and_nothing_is_reported() -> None:
    dropped, kept = (run(pairs(120), leakage=action) for action in ("drop", "fail"))

    for split in ("train", "validation", "holdout"):
        assert ids(dropped, split) == ids(kept, split)
    assert dropped.membership == kept.membership
    assert split_lines(dropped.summary) == ()


def test_every_row_is_counted_once_as_used_or_left_out() -> None:
    got = run(leaky(160, 60), leakage="drop")
    summary = got.summary

    assert summary.rows_used + sum(summary.dropped.values()) == summary.rows_read
    assert summary.firewall is not None
    assert summary.firewall.compared == 60 + 10 + train_of(got).replaced


def test_what_is_missing_is_reported_where_no_row_is_unused() -> None:
    got = run(leaky(70, 30), leakage="drop")
    train = train_of(got)
    missing = 60 - train.rows

    assert (missing, train.replaced) == (train.left_out["leakage"], 0)
    assert split_lines(got.summary)[0] == (
        f"train {train.rows} of 60 asked: {missing} dropped by leakage; no unused rows left"
    )


def test_validation_is_not_refilled_and_says_what_is_missing() -> None:
    got = run(leaky(160, 160), sizes=(60, 60, 60), leakage="drop")
    validation = got.summary.splits[1]

    assert 0 < validation.rows < 60
    assert split_lines(got.summary)[1] == (
        f"validation {validation.rows} of 60 asked: {60 - validation.rows} dropped by leakage"
    )


def test_training_rows_that_validate_are_not_missing_in_train() -> None:
    got = divided(values(leaky(160, 100)), asked(validation=FROM_TRAIN))
    train, validation, _ = got.summary.splits
    filled, missing = split_lines(got.summary)

    assert (train.rows, train.asked, validation.asked) == (30, 30, 30)
    assert filled.startswith(f"train 30 of 30 asked: {train.replaced} dropped by leakage, ")
    assert missing == (
        f"validation {validation.rows} of 30 asked: {30 - validation.rows} dropped by leakage"
    )


def test_whole_groups_are_measured_by_what_is_left_to_train() -> None:
    got = divided(values(pairs(160)), asked("group", "group", validation=FROM_TRAIN))
    of_sizes = [one for one in got.summary.findings if "stay together" in one.message]

    assert not any("60 asked for" in line for one in of_sizes for line in one.examples)


def test_shares_and_all_that_is_left_tell_what_was_drawn() -> None:
    shares = asked(train=0.5, validation=0.2, holdout=0.3)
    for splits in (asked(train="all"), shares):
        got = divided(values(leaky(160, 100)), splits)
        train = train_of(got)
        drawn = train.rows + train.left_out["leakage"]

        assert split_lines(got.summary)[0] == (
            f"train {train.rows} of {drawn} drawn: {drawn - train.rows} dropped by leakage"
        )


@pytest.mark.parametrize("by", ["random", "stratified", "time"])
def test_dividing_again_with_the_record_gives_the_same_splits(by: str) -> None:
    column = "at" if by == "time" else ""
    rows, splits = values(leaky(200, 100)), asked(by, column)
    first = divided(rows, splits)
    again = divided(rows, splits, recorded=first.membership)

    assert train_of(first).replaced > 0
    for split in ("train", "validation", "holdout"):
        assert ids(again, split) == ids(first, split)
    assert divided(rows, splits, recorded=again.membership).membership == again.membership


def test_a_record_from_before_keeps_its_holdout_and_gets_its_training_rows_back() -> None:
    rows, splits = values(leaky(200, 100)), asked()
    old = divided(rows, splits, leakage="warn")
    now = divided(rows, splits, recorded=old.membership)

    assert ids(now, "holdout") == ids(old, "holdout")
    assert len(now.train) == 60


def test_rows_added_later_change_no_training_row() -> None:
    rows, splits = values(leaky(200, 100)), asked()
    first = divided(rows, splits)
    more = values([(sentence(number), "good") for number in range(1000, 1100)])
    again = divided([*rows, *more], splits, recorded=first.membership)

    assert ids(again, "train") == ids(first, "train")


def test_nothing_later_than_what_judges_is_trained() -> None:
    got = divided(values(leaky(200, 100)), asked("time", "at"))
    train, validation, holdout = got.summary.splits

    assert train.replaced > 0
    assert train.span is not None
    assert validation.span is not None
    assert holdout.span is not None
    assert int(train.span[1]) < int(validation.span[0]) < int(holdout.span[0])


def test_groups_are_not_replaced_and_say_what_is_missing() -> None:
    got = divided(values(leaky(200, 100)), asked("group", "group"))
    again = divided(values(leaky(200, 100)), asked("group", "group"), recorded=got.membership)

    assert train_of(got).left_out["leakage"] > train_of(got).replaced == 0
    assert split_lines(got.summary)[0].endswith("dropped by leakage; groups are not replaced")
    assert ids(again, "train") == ids(got, "train")


def test_shares_ask_for_no_number_of_rows() -> None:
    got = run(leaky(160, 60), sizes=(0.6, 0.1, 0.3), leakage="drop")

    assert train_of(got).asked is None
    assert train_of(got).replaced == 0
