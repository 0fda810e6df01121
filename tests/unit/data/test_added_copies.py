"""Copies that are added later take no text out of a holdout, and the counts say what was left."""

import random
from typing import Any

import pytest

from engine.data.prepare import Prepared, prepare
from engine.data.reading.row import Row
from engine.recipe.model import Checks, Data, LabelSpec, Splits, Task
from engine.values import fields, replace

TASK = Task(
    kind="classification",
    instruction="?",
    system="",
    input="{text}",
    labels=("bad", "good"),
    schema=None,
    output="text",
)


WORDS = [
    "amber",
    "basil",
    "cedar",
    "delta",
    "ember",
    "flint",
    "grove",
    "heron",
    "inlet",
    "kelp",
    "lotus",
    "maple",
    "onyx",
    "pearl",
]


def sentence(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=12))


def values(number: int) -> dict[str, Any]:
    label = "good" if number % 2 else "bad"
    return {"text": sentence(number), "label": label, "group": f"g{number % 20}", "at": number}


def prepared(of: list[dict[str, Any]], splits: Splits, **more: Any) -> Prepared:
    actions: dict[str, Any] = {one.name: "off" for one in fields(Checks)}
    actions |= {"duplicates": "drop", "leakage": "drop", **more.pop("actions", {})}
    label = LabelSpec(column="label", relabel=(), bins=(), separator=",")
    data = Data(
        sources=(),
        label=label,
        shape="auto",
        answer=None,
        messages=None,
        pair=None,
        sample=None,
        checks=Checks(**actions),
    )
    rows = [Row(origin=f"r:{number}", values=one) for number, one in enumerate(of)]
    return prepare(rows, TASK, data=data, splits=splits, **more)


def asked(by: Any, holdout: float) -> Splits:
    return Splits(
        by=by,
        column={"group": "group", "time": "at"}[by],
        train="all",
        validation=0,
        holdout=holdout,
        folds=0,
        seed=7,
    )


def copies(of: Prepared, by: str) -> list[dict[str, Any]]:
    """The holdout's texts, each in every other group or at an early time, written to sort first."""
    texts = [example.input for example in of.holdout]
    labels = [example.target for example in of.holdout]
    marks = [{"group": f"g{n}", "at": -n} for n in (range(20) if by == "group" else range(1, 3))]
    return [
        {"text": text.upper(), "label": label, **mark}
        for text, label in zip(texts, labels, strict=True)
        for mark in marks
    ]


@pytest.mark.parametrize(
    ("by", "holdout", "is_held"),
    [("group", 0.3, False), ("group", 40, True), ("time", 40, True), ("time", 0.3, True)],
)
@pytest.mark.parametrize("check", ["duplicates", "near_duplicates"])
def test_copies_elsewhere_take_no_text_out_of_the_holdout(
    by: str, holdout: float, is_held: bool, check: str
) -> None:
    splits = asked(by, holdout)
    actions = {"duplicates": "off", check: "drop"}
    rows = [values(number) for number in range(200)]
    first = prepared(rows, splits, actions=actions)
    record = first.membership if is_held else None
    again = prepared([*copies(first, by), *rows], splits, actions=actions, recorded=record)

    def held_out(of: Prepared) -> set[str]:
        return {example.input.casefold() for example in of.holdout}

    assert held_out(first)
    assert held_out(again) == held_out(first)
    assert not held_out(first) & {example.input.casefold() for example in again.train}


def test_new_rows_that_are_left_out_for_leaking_are_not_counted_as_training_rows() -> None:
    splits = replace(asked("time", 40), by="random", column="")
    rows = [values(number) for number in range(200)]
    first = prepared(rows, splits)
    near = [{**values(0), "text": f"{example.input} x"} for example in first.holdout][:5]
    again = prepared([*rows, *near, values(300)], splits, recorded=first.membership)

    assert again.summary.recorded is not None
    assert again.summary.recorded.new_rows == {"none": 5, "train": 1}


def test_what_is_left_counts_only_rows_that_training_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaking row that a later step leaves out is found, and not left."""
    splits = replace(asked("time", 40), by="random", column="")
    rows = [values(number) for number in range(200)]
    held_out = [one.input for one in prepared(rows, splits).holdout]
    record = prepared(rows, splits).membership
    near = [{**values(0), "text": f"{text} x"} for text in held_out[:5]]

    def without_copies(_pool: Any, division: Any, *_: Any, **__: Any) -> dict[int, int]:
        for row in range(len(rows), len(rows) + 3):
            division.places[row] = 0
        return {}

    kept = prepared([*rows, *near], splits, recorded=record, actions={"leakage": "warn"})
    monkeypatch.setattr("engine.data.prepare.weigh", without_copies)
    thinned = prepared([*rows, *near], splits, recorded=record, actions={"leakage": "warn"})

    for found, left in ((kept, 5), (thinned, 2)):
        assert found.summary.firewall is not None
        assert found.summary.firewall.found_near == 5
        assert found.summary.firewall.left_near == found.summary.overlap_near == left
