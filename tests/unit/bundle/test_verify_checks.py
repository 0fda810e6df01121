"""The ladder in a bundle's report: every quantization is compared with the 16-bit file."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from engine.bundle.contents import Contents, recipe_of
from engine.bundle.verify_checks import verify_problems
from engine.evidence import FormResult, Metric, Report
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.metrics.verdict import judge, verdict
from engine.parity.ladder import ModelForm, form_result
from engine.process import __version__
from engine.values import replace
from support.reports import rich

RECIPE = b"""recipe: v1
name: made-up
allow_moving: true
task: {kind: classification, instruction: "Is it negative or positive?", labels: [negative, positive]}
base_model: {path: ../models/made-up}
data: {sources: [{path: reviews.csv}], label: {column: rating}}
splits: {validation: 20, holdout: 40}
method: {kind: lora}
acceptance: {metrics: {macro_f1: {min: 0.5}}}
export: {formats: [gguf], quantization: [Q4_0, Q4_K_M]}
"""
CONFIDENCE = 0.95
LABELS = ("negative", "positive")
SOUND = "01010101"
ANSWERS = {
    "adapter": SOUND,
    "merged": SOUND,
    "f16": SOUND,
    "Q4_0": "10011010",
    "Q4_K_M": "11010101",
}
"""Of each rung, which label each row got; the truth is that of `SOUND`."""


def predictions(answers: str) -> list[Prediction]:
    return [
        Prediction(
            id=f"{number:016x}",
            target=LABELS[int(right)],
            label=LABELS[int(given)],
            text="",
            probability=None,
        )
        for number, (given, right) in enumerate(zip(answers, SOUND, strict=True))
    ]


def contents(report: Report) -> Contents:
    """What a bundle with such a report says, as far as these checks look at it."""
    recipe = recipe_of(RECIPE, "recipe.resolved.yaml")
    rest: dict[str, Any] = dict.fromkeys(("members", "lock", "resolved", "statement"))
    accepted: Any = SimpleNamespace(verdicts={})
    return Contents(report=report, recipe=recipe, accepted=accepted, **rest)


def report_of(answers: dict[str, str]) -> Report:
    """A report whose ladder is made as `verify` makes it: the 16-bit file is below every quantization."""
    report = rich()
    task = contents(report).recipe.task
    rungs: list[FormResult] = []
    below: ModelForm | None = None
    for name, given in answers.items():
        predicted = predictions(given)
        scores = score(predicted, Judging(task=task, confidence=CONFIDENCE, seed=0))
        form = ModelForm(name=name, predictions=predicted, scores=scores)
        rungs.append(form_result(form, below, confidence=CONFIDENCE, checks=()))
        if name in ("adapter", "merged", "f16"):
            below = form
    return replace(report, ladder=tuple(rungs), holdout=rungs[0].scores, quantized=rungs[-1].scores)


def problems_of_rungs(report: Report, names: Sequence[str]) -> list[str]:
    starts = tuple(f"rung {name}" for name in names)
    return [one for one in verify_problems(contents(report)) if one.startswith(starts)]


def test_a_second_quantization_is_compared_with_the_16_bit_file() -> None:
    assert problems_of_rungs(report_of(ANSWERS), ["merged", "f16", "Q4_0", "Q4_K_M"]) == []


@pytest.mark.parametrize("name", ["f16", "Q4_0", "Q4_K_M"])
def test_a_rung_that_says_something_else_than_its_scores_is_refused(name: str) -> None:
    report = report_of(ANSWERS)
    ladder = tuple(
        replace(rung, class_deltas=(("negative", 0.5),)) if rung.name == name else rung
        for rung in report.ladder
    )

    found = problems_of_rungs(replace(report, ladder=ladder), [name])

    assert found == [f"rung {name}: the change in F1 of `negative` is 0.5"]


@pytest.mark.parametrize(
    ("name", "rows", "sampled_of", "problem"),
    [
        ("f16", 1, 300, ""),
        ("f16", 3, 300, ""),
        ("f16", 16, 300, ""),
        ("f16", 64, 300, ""),
        ("f16", 48, 300, "rung f16 was asked 48 of 300 rows, the one before 300"),
        ("f16", 10, 300, "rung f16 was asked 10 of 300 rows, the one before 300"),
        ("f16", 64, 200, "rung f16 was asked 64 of 200 rows, the one before 300"),
        ("f16", 64, None, "rung f16 was asked 64 rows, the one before 300"),
        ("Q4_0", 64, 300, "rung Q4_0 was asked a sample of the rows"),
    ],
)
def test_only_the_16_bit_file_is_asked_a_sample_of_the_size_that_it_must_have(
    name: str, rows: int, sampled_of: int | None, problem: str
) -> None:
    report = report_of(ANSWERS)
    sizes = {one.name: 300 for one in report.ladder} | {name: rows}
    ladder = tuple(
        replace(
            one,
            scores=replace(one.scores, rows=sizes[one.name]),
            sampled_of=sampled_of if one.name == name else None,
            class_deltas=(),
        )
        for one in report.ladder
    )

    found = problems_of_rungs(replace(report, ladder=ladder), [name])

    assert [one for one in found if " asked " in one] == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("ties", "got", "bound", "problem"),
    [
        (None, 0.5, 0.98, ""),
        # of eight rows, more than ties may explain
        (2, 0.5, 0.88, ""),
        (2, 0.75, 0.88, "got 0.75, the rung says 0.5"),
        (2, 0.5, 0.5, "is bound by 0.5 on the point, the recipe says 0.88"),
        (None, 0.5, 0.88, "is bound by 0.88 on the point, the recipe says 0.98"),
        (5, 0.5, 0.88, "rung merged counts 5 ties of 4 changed answers"),
    ],
)
def test_parity_is_that_of_the_rung_and_its_bound_lowered_by_its_ties(
    ties: int | None, got: float, bound: float, problem: str
) -> None:
    report = report_of({"adapter": SOUND, "merged": "10100101"})
    check = judge(Metric(name="parity", value=got, n=8), "min", bound, decide_on="point", note="")
    check = replace(check, name="parity.merged")
    merged = replace(report.ladder[1], ties=ties)
    changed = replace(
        report, ladder=(report.ladder[0], merged), verify=verdict([check]), quantized=None
    )

    found = [*verify_problems(contents(changed))]

    about = [one for one in found if "parity.merged is bound" in one or " ties of " in one]
    about += [one for one in found if "parity.merged got" in one]
    assert len(merged.flips) == 4
    assert len(about) == bool(problem)
    assert all(problem in one for one in about)


@pytest.mark.parametrize("name", ["weights", "token_parity"])
def test_a_look_at_every_tensor_and_prompt_cannot_be_left_out(name: str) -> None:
    report = report_of(ANSWERS)
    assert report.verify is not None
    versions = {**report.versions, "slm-recipe": __version__}
    kept = [check for check in report.verify.checks if check.name != name]
    without = replace(report, versions=versions, verify=verdict(kept))

    problem = f"verify has no check of {name}, which the recipe asks for"
    assert problem in [*verify_problems(contents(without))]
