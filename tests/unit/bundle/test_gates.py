"""What rows in a bundle give, compared with the ladder and the checks that its report shows."""

from itertools import cycle
from types import SimpleNamespace
from typing import Any

import pytest

from engine.bundle.contents import LEFT_OUT, Contents, has_row_texts, recipe_of, without_row_texts
from engine.bundle.gates import row_problems
from engine.bundle.row_table import statistics_of
from engine.evidence import DataFinding, Flip, FormResult, Metric, Report
from engine.inference.ladder import ModelForm, form_result
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.metrics.verdict import judge, verdict
from engine.render.report.page import render_html, render_json
from engine.values import replace
from support.reports import accepted, generation, rich

RECIPE = b"""recipe: v1
name: made-up
allow_moving: true
task: {kind: classification, instruction: "Is it negative or positive?", labels: [negative, positive]}
base_model: {path: ../models/made-up}
data: {sources: [{path: reviews.csv}], label: {column: rating}}
splits: {validation: 20, holdout: 40}
method: {kind: lora}
acceptance: {metrics: {macro_f1: {min: 0.5}}}
baselines: [majority]
export: {formats: [gguf], quantization: [Q4_0, Q4_K_M]}
"""
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
        for number, (given, right) in enumerate(zip(answers, cycle(SOUND), strict=False))
    ]


def report_of(answers: dict[str, str]) -> Report:
    """A report whose ladder is made as `verify` makes it: the 16-bit file is below every quantization."""
    task = recipe_of(RECIPE, "recipe.resolved.yaml").task
    rungs: list[FormResult] = []
    below: ModelForm | None = None
    for name, given in answers.items():
        predicted = predictions(given)
        scores = score(predicted, Judging(task=task, confidence=0.95, seed=0))
        form = ModelForm(name=name, predictions=predicted, scores=scores)
        rungs.append(form_result(form, below, confidence=0.95, checks=()))
        if name in ("adapter", "merged", "f16"):
            below = form
    rungs[-1] = replace(rungs[-1], free=rungs[-1].scores)
    return replace(rich(), ladder=tuple(rungs), baselines=(), comparisons=())


def problems_of(report: Report, answers: dict[str, str]) -> list[str]:
    """What the rows of these answers deny of a report."""
    recipe = recipe_of(RECIPE, "recipe.resolved.yaml")
    *_, last = answers
    names = {"adapter": "holdout", last: "quantized"}
    known: dict[tuple[str | None, str], int] = {(label, ""): at for at, label in enumerate(LABELS)}
    rows = {
        names.get(name, name): statistics_of(predictions(given), recipe.task, known)
        for name, given in answers.items()
    }
    rows["quantized_free"] = rows["quantized"]
    rest: dict[str, Any] = dict.fromkeys(("members", "lock", "resolved", "statement"))
    accepted: Any = SimpleNamespace(recipe={"seed": 0}, metrics={})
    contents = Contents(report=report, recipe=recipe, accepted=accepted, rows=rows, **rest)
    return [*row_problems(contents)]


def of_ladder(found: list[str]) -> list[str]:
    return [one for one in found if one.startswith(("`report.ladder", "rung"))]


def test_a_second_quantization_is_compared_with_the_16_bit_file() -> None:
    assert of_ladder(problems_of(report_of(ANSWERS), ANSWERS)) == []


def test_a_rung_that_shows_something_else_than_its_rows_is_named() -> None:
    report = report_of(ANSWERS)
    (adapter, merged, *rest) = report.ladder
    merged = replace(merged, class_deltas=(("negative", 0.5), merged.class_deltas[1]))

    found = of_ladder(problems_of(replace(report, ladder=(adapter, merged, *rest)), ANSWERS))

    shown = "`report.ladder.merged.class_deltas.0.1` is 0.5, the table of rows gives 0.0"
    assert found == [shown]


@pytest.mark.parametrize(
    ("name", "rows", "sampled_of", "is_right"),
    [
        ("f16", 1, 160, True),
        ("f16", 48, 160, False),
        ("f16", 1, 80, False),
        ("f16", 64, None, False),
        ("Q4_0", 1, 160, False),
    ],
)
def test_only_the_16_bit_file_is_evaluated_on_a_sample(
    name: str, rows: int, sampled_of: int | None, *, is_right: bool
) -> None:
    answers = {rung: given * 20 for rung, given in ANSWERS.items()}
    report = report_of(answers)
    ladder = tuple(
        replace(one, scores=replace(one.scores, rows=rows), sampled_of=sampled_of)
        if one.name == name
        else one
        for one in report.ladder
    )

    found = problems_of(replace(report, ladder=ladder), answers)

    named = [one for one in found if one.startswith(f"rung {name} was evaluated")]
    assert bool(named) is not is_right


@pytest.mark.parametrize(
    ("ties", "got", "bound", "problem"),
    [
        (None, 0.5, 0.98, ""),
        # of eight rows, more than ties may explain
        (2, 0.5, 0.88, ""),
        (2, 0.75, 0.88, "parity.merged.got` is 0.75, the table of rows gives 0.5"),
        (2, 0.5, 0.5, "parity.merged.bound` is 0.5, the table of rows gives 0.88"),
        (None, 0.5, 0.88, "parity.merged.bound` is 0.88, the table of rows gives 0.98"),
        (5, 0.5, 0.88, "rung merged counts 5 ties of 4 changed answers"),
    ],
)
def test_parity_is_that_of_the_rows_and_its_bound_lowered_by_its_ties(
    ties: int | None, got: float, bound: float, problem: str
) -> None:
    answers = {"adapter": SOUND, "merged": "10100101", "Q4_K_M": SOUND}
    report = report_of(answers)
    metric = Metric(name="parity", value=got, n=8)
    check = replace(judge(metric, "min", bound, decide_on="point"), name="parity.merged")
    adapter, merged, last = report.ladder
    assert len(merged.flips) == 4
    ladder = (adapter, replace(merged, ties=ties), last)

    found = problems_of(replace(report, ladder=ladder, verify=verdict([check])), answers)

    shown = ("parity.merged.got", "parity.merged.bound", " ties of ")
    about = [one for one in found if any(part in one for part in shown)]
    assert len(about) == bool(problem)
    assert all(problem in one for one in about)


@pytest.mark.parametrize("name", ["weights", "token_parity"])
def test_a_check_of_every_tensor_and_prompt_cannot_be_left_out(name: str) -> None:
    report = report_of(ANSWERS)
    assert report.verify is not None
    kept = [check for check in report.verify.checks if check.name != name]

    found = problems_of(replace(report, verify=verdict(kept)), ANSWERS)

    assert f"verify has no check of {name}, which the recipe asks for" in found


# What of a report quotes rows, and what is left of it without these.
HEAD = b"""recipe: v1
name: made-up
allow_moving: true
base_model: {path: ../models/made-up}
data: {sources: [{path: reviews.csv}], %s}
splits: {validation: 20, holdout: 40}
method: {kind: lora}
export: {formats: [safetensors]}
"""
LABELLED = b"""task: {kind: classification, instruction: "Is it negative or positive?", labels: [negative, positive]}
acceptance: {metrics: {macro_f1: {min: 0.5}}}
"""
TEXTS = b"""task: {kind: generation, instruction: "Write its title."}
acceptance: {metrics: {rouge_l: {min: 0.5}}}
"""
OF_LABELS = recipe_of(HEAD % b"label: {column: rating}" + LABELLED, "recipe.yaml")
OF_TEXTS = recipe_of(HEAD % b"answer: {column: title}" + TEXTS, "recipe.yaml")


def quoting(report: Report, *examples: str, check: str = "duplicates") -> Report:
    assert report.data
    finding = DataFinding(
        check=check, action="warn", count=3, message="3 rows", examples=tuple(examples)
    )
    return replace(report, data=replace(report.data, findings=(finding,)))


def test_an_example_keeps_the_place_of_its_row_alone() -> None:
    report = quoting(
        accepted(),
        "my rows.csv:17 `secret` (positive) is 89% like my rows.csv:18 `secret:3 `",
        "team/set:train:4 (holdout)",
        "`secret:5 `",
    )

    plain = without_row_texts(report, OF_LABELS)

    assert plain.data
    assert plain.data.findings[0].examples == ("my rows.csv:17", "team/set:train:4")
    assert plain.notes[-1] == LEFT_OUT
    assert without_row_texts(plain, OF_LABELS) is plain
    assert has_row_texts(report, OF_LABELS)
    assert not has_row_texts(plain, OF_LABELS)


def test_no_wrong_row_is_in_a_page_that_is_published_and_their_number_is() -> None:
    report = rich()
    texts = [row.text for row in report.mistakes]

    plain = without_row_texts(report, OF_LABELS)

    assert texts
    assert all(text in render_html(report) for text in texts)
    assert not any(text in render_html(plain) + render_json(plain) for text in texts)
    assert "7 of 100 validation rows are answered wrongly" in render_html(plain)


def test_what_names_classes_stays() -> None:
    report = quoting(accepted(), "`rare`: 2 of 90 rows (2.2%)", check="imbalance")

    assert without_row_texts(report, OF_LABELS) is report


def test_changed_answers_are_numbered_where_they_are_texts() -> None:
    flip = Flip(id="0" * 16, target="A red fox", before="A red fox", after=None)
    report = quoting(generation())
    rung = replace(rich().ladder[0], flips=(flip, replace(flip, after="A cat")))
    old = {"id": "0" * 16, "target": "A fox", "merged": "A cat", "quantized": "A fox"}
    report = replace(report, ladder=(rung,), flips=(old,))

    plain = without_row_texts(report, OF_TEXTS)

    first, second = plain.ladder[0].flips
    assert (first.target, first.before, first.after) == ("answer 1", "answer 1", None)
    assert (second.before, second.after) == ("answer 1", "answer 2")
    assert list(plain.flips[0].values())[1:] == ["answer 1", "answer 2", "answer 1"]
    labels = without_row_texts(report, OF_LABELS)
    assert labels.ladder == report.ladder
