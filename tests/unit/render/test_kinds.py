"""What reports of each kind say, and what they must not say."""

import json
from collections.abc import Callable

import pytest

from engine.evidence import Report, Scores
from engine.render.label_tables import main_metric
from engine.render.number_format import DASH
from engine.render.report.card import render_card
from engine.render.report.page import (
    closing_block,
    read_json,
    render_html,
    render_json,
    render_markdown,
)
from engine.render.stage_lines import baseline_lines, check_lines, ladder_lines
from engine.values import replace
from support import reports

Render = Callable[[Report], str]
pages = pytest.mark.parametrize("render", [render_html, render_markdown])

ADDED = ("comparisons", "ladder", "forgetting", "checkpoints", "power")


def closing(report: Report) -> str:
    return closing_block(report, colour=False)


@pytest.mark.parametrize("render", [render_html, render_markdown, render_card, closing])
@pytest.mark.parametrize("make", [reports.extraction, reports.generation, reports.chat])
def test_kinds_without_labels_say_nothing_of_labels(
    make: Callable[[], Report], render: Render
) -> None:
    shown = render(replace(make(), power=(), forgetting=None))

    for word in (
        "macro_f1",
        "macro\\_f1",
        "macro-F1",
        "Confusion",
        "Per class",
        "text-classification",
    ):
        assert word not in shown


def _all_right(scores: Scores) -> Scores:
    metrics = tuple(replace(one, value=1.0) for one in scores.metrics)
    return replace(scores, metrics=metrics)


@pages
def test_where_a_baseline_passes_its_classes_and_mistakes_are_shown(render: Render) -> None:
    report = reports.baseline_passes()
    (passing,) = (item for item in report.baselines if item.passes)
    failing = replace(passing, passes=False)
    # a better one that comes later: the first is the simplest
    later = replace(passing, name="other", scores=_all_right(passing.scores))

    shown = render(replace(report, baselines=(passing, later)))
    without = render(replace(report, baselines=(failing,)))

    assert "which passes without training" in shown
    assert "columns what tfidf" in shown
    for label in report.labels:
        assert shown.count(label) > without.count(label)


def test_the_metric_with_the_threshold_is_shown_where_the_main_one_has_none() -> None:
    report = replace(reports.rich(), headline="accuracy")

    assert main_metric(report) == "accuracy"
    assert "accuracy, exported file" in render_html(report)
    assert "macro_f1, exported file" not in render_html(report)
    # what was compared without a gain asked for is the kind's own
    assert "Against tfidf_svm: macro_f1" in render_card(report).replace("\\", "")


@pages
def test_fields_are_distinguished_from_classes(render: Render) -> None:
    shown = render(reports.extraction())

    assert "Per field" in shown
    assert "items.quantity" in shown


@pages
def test_less_is_reported_as_better_where_it_is(render: Render) -> None:
    shown = render(reports.chat()).replace("\\", "")

    assert "lower is better" in shown
    assert "upper bound ≤ 0.90" in shown
    assert "upper bound ≤ 7.00" in shown


def test_the_best_baseline_is_best_in_its_direction() -> None:
    lines = baseline_lines(reports.chat().baselines, metric="bits_per_byte")

    assert "bits per byte (lower is better)" in lines
    assert "best is few_shot" in lines
    best = render_html(reports.chat()).partition("the best other way")[2][:200]
    assert "1.132" in best
    assert "few_shot" in best


def test_the_card_of_a_model_without_a_gguf_file_names_no_command_that_asks_one() -> None:
    report = reports.accepted()
    files = tuple(one for one in report.files if one.format == "safetensors")

    assert "recipe try" in render_card(report)
    assert "recipe try" not in render_card(replace(report, files=files))


def test_baselines_that_pass_are_listed() -> None:
    passing = [replace(one, passes=True) for one in reports.accepted().baselines[:3]]

    last = baseline_lines(passing, metric="macro_f1").splitlines()[-1]

    assert last == (
        f"{passing[0].name}, {passing[1].name} and {passing[2].name} already pass every threshold"
    )


@pages
def test_p_values_are_shown_with_their_correction(render: Render) -> None:
    shown = render(reports.generation())

    assert "p = 0.039" in shown
    assert "0.078 after Holm" in shown


@pages
def test_changed_rows_are_listed_up_to_a_bound_that_is_stated(render: Render) -> None:
    report = reports.rich()
    last = replace(report.ladder[-1], flips=reports.flips(60))

    shown = render(replace(report, ladder=(*report.ladder[:-1], last)))

    assert "more in report.json" in shown
    assert "f16 to Q4_K_M" in shown.replace("\\", "")
    assert "wrong either way" in shown


@pytest.mark.parametrize("render", [render_html, render_markdown, render_card, closing])
def test_a_report_without_the_newer_parts_is_still_shown(render: Render) -> None:
    data = json.loads(render_json(reports.accepted()))
    for name in (*ADDED, "learning_curves", "holdout_use", "folds"):
        del data[name]
    for scores in (data["holdout"], *(item["scores"] for item in data["baselines"])):
        del scores["calibration"]
    for check in data["gate"]["checks"]:
        del check["p_adjusted"]
    del data["task"]["kind"]

    shown = render(read_json(json.dumps(data)))

    assert "made-up-sentiment" in shown


def test_a_form_that_was_asked_a_sample_says_so_and_shows_no_score_beside_the_others() -> None:
    report = reports.rich()
    ladder = tuple(
        replace(rung, sampled_of=300, scores=replace(rung.scores, rows=64))
        if rung.name == "f16"
        else rung
        for rung in report.ladder
    )

    lines = ladder_lines(ladder, metric="macro_f1")
    page = render_markdown(replace(report, ladder=ladder))

    assert "f16 spot check on 64 of 300 rows" in lines
    assert "f16 0.897" not in lines
    assert "spot check on 64 of 300 rows" in page
    (row,) = (line for line in page.splitlines() if line.startswith("| `f16` | holds |"))
    assert row.split(" | ")[2] == DASH


def test_a_ladder_without_answers_tells_the_shift() -> None:
    assert "Q4_K_M moved log-probabilities by 0.0391 nats" in ladder_lines(
        reports.chat().ladder, metric="bits_per_byte"
    )


@pytest.mark.parametrize(
    "make", [reports.rich, reports.extraction, reports.generation, reports.chat, reports.multilabel]
)
def test_no_line_of_the_terminal_is_longer_than_it(make: Callable[[], Report]) -> None:
    report = make()
    gates = [gate for gate in (report.gate, report.verify) if gate]

    shown = closing(report) + "".join(check_lines(gate, colour=False) for gate in gates)

    assert max(map(len, shown.splitlines())) <= 100


def test_long_titles_are_cut_before_lines_break() -> None:
    verdict = reports.verdict_of("f1." + "a" * 90, low=0.45, got=0.5, high=0.55, bound=0.4)

    assert max(map(len, check_lines(verdict, colour=False).splitlines())) <= 100
