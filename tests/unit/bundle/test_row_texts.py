"""What of a report quotes rows, and what is left of it without these."""

from engine.bundle.contents import LEFT_OUT, has_row_texts, recipe_of, without_row_texts
from engine.evidence import DataFinding, Flip, Report
from engine.render.report.page import render_html, render_json
from engine.values import replace
from support.reports import accepted, generation, rich

HEAD = b"""recipe: v1
name: made-up
allow_moving: true
base_model: {path: ../models/made-up}
data: {sources: [{path: reviews.csv}], %s}
splits: {validation: 20, holdout: 40}
method: {kind: lora}
export: {formats: [safetensors]}
"""
LABELS = b"""task: {kind: classification, instruction: "Is it negative or positive?", labels: [negative, positive]}
acceptance: {metrics: {macro_f1: {min: 0.5}}}
"""
TEXTS = b"""task: {kind: generation, instruction: "Write its title."}
acceptance: {metrics: {rouge_l: {min: 0.5}}}
"""
OF_LABELS = recipe_of(HEAD % b"label: {column: rating}" + LABELS, "recipe.yaml")
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
