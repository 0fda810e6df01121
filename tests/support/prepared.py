"""Pairs of texts and labels, prepared as the data stage does it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.data.prepare import Prepared, prepare
from engine.data.reading.row import Row
from engine.data.similarity.near import leaks
from engine.errors import DataError
from engine.recipe.model import Checks, Data, LabelSpec, Sample, Splits, Task

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
    "juniper",
    "kelp",
    "lotus",
    "maple",
    "nectar",
    "onyx",
    "pearl",
    "quartz",
    "raven",
    "sage",
    "thyme",
    "umber",
    "violet",
    "willow",
    "xenon",
    "yarrow",
    "zephyr",
]
Pair = tuple[str, Any]
QUIET = (
    "near_duplicates",
    "label_errors",
    "output_format",
    "mojibake",
    "control_characters",
    "personal_data",
    "languages",
    "template_tokens",
    "label_in_input",
)
"""Checks with tests of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A row of the holdout, and one that training sees."""

    holdout: Example
    other: Example
    similarity: float


def find_leaks(holdout: Sequence[Example], others: Sequence[Example]) -> Iterator[Leak]:
    numbered = ((number, example.input) for number, example in enumerate(others))
    for match in leaks([example.input for example in holdout], numbered):
        yield Leak(
            holdout=holdout[match.holdout],
            other=others[match.other],
            similarity=match.similarity,
        )


def sentence(number: int) -> str:
    draw = random.Random(number)
    return " ".join(draw.sample(WORDS, 9))


def pairs(count: int) -> list[Pair]:
    return [(sentence(n), "good" if n % 2 else "bad") for n in range(count)]


def rows(of: Sequence[Pair | Row]) -> list[Row]:
    return [
        one
        if isinstance(one, Row)
        else Row(origin=f"r.csv:{line}", values={"text": one[0], "label": one[1]})
        for line, one in enumerate(of, 2)
    ]


def run(
    of: Sequence[Pair | Row],
    *,
    sizes: tuple[float, float, float] = (60, 10, 30),
    sample: Sample | None = None,
    label: LabelSpec | None = None,
    text: str = "{text}",
    splits: Splits | None = None,
    **actions: str,
) -> Prepared:
    """Divide rows as a task of a `kind` would; the other `actions` are those of checks."""
    kind = actions.pop("kind", "classification")
    strict = dict.fromkeys(QUIET, "off") | {
        "missing_classes": "fail",
        "schema_violations": "fail",
        "duplicates": "fail",
        "conflicting_labels": "fail",
        "leakage": "fail",
        "truncation": "fail",
        "empty": "fail",
        "unknown_labels": "fail",
        "imbalance": "fail",
    }
    return prepare(
        rows(of),
        Task(
            kind=kind,
            instruction="?",
            system="",
            input=text,
            labels=() if kind == "preference" else ("bad", "good"),
            schema=None,
            output="text",
        ),
        data=Data(
            sources=(),
            label=label or LabelSpec(column="label", relabel=(), bins=(), separator=","),
            shape="auto",
            answer=None,
            messages=None,
            pair=None,
            sample=sample,
            checks=Checks(**{**strict, **actions}),  # type: ignore[arg-type]
        ),
        splits=splits
        or Splits(
            by="stratified",
            column="",
            train=sizes[0],
            validation=sizes[1],
            holdout=sizes[2],
            folds=0,
            seed=7,
        ),
    )


def codes(of: Sequence[Pair | Row], **more: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        run(of, **more)
    return [problem.code for problem in caught.value.problems]


def all_of(prepared: Prepared) -> list[tuple[str, str, str]]:
    return [
        (one.id, one.input, one.target)
        for split in (prepared.train, prepared.validation, prepared.holdout)
        for one in split
    ]
