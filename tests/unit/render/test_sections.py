"""A section is one module: what it takes to add one, and that all three writers show it."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.evidence import Diagnosis, Fit, RecipeEdit, Report
from engine.render.report import sections
from engine.render.report.card import render_card
from engine.render.report.page import (
    closing_block,
    read_json,
    render_html,
    render_markdown,
    render_terminal,
)
from engine.render.stage_lines import data_line
from engine.values import replace
from support import reports
from support.golden import Golden
from support.paths import EXAMPLES
from unit.render.test_pages import REPORTS, hostile

ADDED = """
from engine.render import blocks


def weather(report):
    rows = [["Monday", blocks.Estimate("21.5", "[20.1, 22.9]")]]
    yield blocks.table("By day", "day | >degrees", rows)
    yield "card", "it was warm"
    yield "closing", "it was sunny"
"""


@pytest.fixture
def weather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section in a module of its own, and nothing else changed."""
    (tmp_path / "weather.py").write_text(ADDED, encoding="utf-8")
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    rows = [*sections.TABLE.items()]
    rows.insert(5, ("weather", {"module": "weather", "title": "Weather"}))
    monkeypatch.setattr(sections, "TABLE", dict(rows))
    monkeypatch.delitem(sys.modules, f"{sections.__name__}.weather", raising=False)


@pytest.mark.usefixtures("weather")
def test_one_module_adds_a_section_to_every_form() -> None:
    report = reports.accepted()
    page, text = render_html(report), render_markdown(report)

    assert '<a href="#weather">Weather</a>' in page
    assert page.index('id="acceptance"') < page.index('id="weather"') < page.index('id="baselines"')
    assert "| Monday | 21.5 [20.1, 22.9] |" in text
    assert re.search(
        r"Monday +21\.5 \[20\.1, 22\.9]", render_terminal(report, width=80, colour=False)
    )
    assert "- It was warm." in render_card(report)
    assert "it was sunny" in closing_block(report, colour=False)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("name", REPORTS)
def test_no_line_of_a_report_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = render_terminal(REPORTS[name](), width=width, colour=False).splitlines()

    wide = [line for line in lines if len(line) > width]

    # a digest or a path, which is copied
    assert [line for line in wide if len(line.split()[-1]) < 40] == []


def test_the_report_on_the_terminal_is_the_golden_one(golden: Golden) -> None:
    golden("render/rich.report.txt", render_terminal(reports.rich(), width=100, colour=False))


def test_colour_changes_no_word_of_a_report() -> None:
    coloured = render_terminal(reports.rich(), width=100, colour=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)

    assert coloured != plain
    assert [line.rstrip() for line in plain.splitlines()] == render_terminal(
        reports.rich(), width=100, colour=False
    ).splitlines()


def test_hostile_text_of_a_report_reaches_no_terminal() -> None:
    shown = render_terminal(hostile(), width=100, colour=False)

    assert not set("\x00\x1b\u202e") & set(shown)
    assert "<script>alert(1)</script>" in "".join(shown.split())


UNDERFITTED = Diagnosis(
    fit=Fit.UNDERFITTED,
    reasons=("macro_f1 is 0.330 [0.290, 0.370] on 200 training rows", "25 steps are few", "third"),
    edits=(RecipeEdit(key="method.epochs", current="1", proposed="5"),),
    yaml="method: {epochs: 5}",
)


def test_the_diagnosis_and_its_edit_stand_in_every_form() -> None:
    report = replace(reports.refused(), diagnosis=UNDERFITTED)
    closing = closing_block(report, colour=False)

    for text in (render_html(report), render_markdown(report)):
        assert "What would make it better" in text
        assert "method: {epochs: 5}" in text
    assert "method.epochs    1         5" in render_terminal(report, width=80, colour=False)
    assert "diagnosis: underfitted: macro_f1 is 0.330 [0.290, 0.370] on 200 training" in closing
    assert "third" not in closing
    assert "edit     method: {epochs: 5}\n" in closing


@pytest.mark.parametrize("outcome", ["accepted", "refused"])
@pytest.mark.parametrize("fit", [Fit.FITS, Fit.NOT_KNOWN])
def test_an_accepted_model_that_fits_ends_without_a_word_about_it(outcome: str, fit: Fit) -> None:
    found = Diagnosis(fit=fit, reasons=("the reason",))
    closing = closing_block(
        replace(reports.accepted(), outcome=outcome, diagnosis=found), colour=False
    )

    assert ("diagnosis:" in closing) is ((outcome, fit) != ("accepted", Fit.FITS))


def test_a_model_that_learned_too_little_ends_without_counting_rows() -> None:
    report = reports.repeated()

    assert "learning curve:" in closing_block(report, colour=False)
    underfitted = replace(report, diagnosis=UNDERFITTED)
    assert "learning curve:" not in closing_block(underfitted, colour=False)


def test_a_split_that_checks_made_smaller_is_reported_in_every_form() -> None:
    report = reports.accepted()
    assert report.data is not None
    train, *others = report.data.splits
    short = replace(train, rows=382, asked=400, left_out={"leakage": 18})
    data = replace(report.data, splits=(short, *others))
    sentence = "train 382 of 400 asked: 18 dropped by leakage; no unused rows left"

    for write in (render_html, render_markdown):
        assert sentence.capitalize() in write(replace(report, data=data))  # a sentence there
        assert "dropped by leakage" not in write(report)
    assert sentence in " ".join(data_line(data).split())


def test_processes_that_trained_together_stand_in_every_form_with_the_rows_seen_twice() -> None:
    report = reports.accepted()
    assert report.training is not None
    together = replace(report, training=replace(report.training, processes=2, repeated_rows=3))

    for write in (render_html, render_markdown):
        assert "2, together" in write(together)
        assert "3 were seen twice an epoch" in write(together)
        assert "seen twice" not in write(report)


def test_the_basis_of_an_estimate_in_an_older_report_is_shown_as_today() -> None:
    text = (EXAMPLES / "run" / "report.json").read_text(encoding="utf-8")

    assert '"reckoned"' in text
    assert "computed from tensor sizes, nothing measured" in render_markdown(read_json(text))


@pytest.mark.parametrize("make", [reports.accepted, reports.refused])
def test_commands_of_a_run_name_the_store_that_it_was_given(make: Callable[[], Report]) -> None:
    report = make()
    elsewhere = closing_block(report, store="my results", colour=False, width=200)
    here = closing_block(report, colour=False, width=200)
    commands = [step for step in report.next_steps if step.startswith("recipe ")]

    assert commands
    for command in commands:
        assert f"{command} --store 'my results'\n" in elsewhere
        assert f"{command}\n" in here


@pytest.mark.parametrize("colour", [False, True])
def test_paths_and_commands_of_a_run_are_whole_on_a_narrow_terminal(colour: bool) -> None:
    report = reports.accepted()
    narrow = closing_block(report, store="/results/" + "long/" * 30, colour=colour, width=40)

    assert f"{report.run_directory}/report.html\n" in narrow
    for command in report.next_steps:
        assert f"{command} --store {'/results/' + 'long/' * 30}\n" in narrow
