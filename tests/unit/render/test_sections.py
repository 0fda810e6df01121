"""A section is one module: what it takes to add one, and that all three writers show it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from engine.render.report import sections
from engine.render.report.card import render_card
from engine.render.report.page import render_html, render_markdown, render_terminal
from engine.render.report.summary import closing_block
from support import reports
from support.golden import Golden
from unit.render.test_pages import REPORTS, hostile

ADDED = """
from engine.render import blocks
from engine.render.report.sections import report_section


@report_section("weather", at=15)
def weather(report):
    rows = [["Monday", blocks.Estimate("21.5", "[20.1, 22.9]")]]
    return blocks.Section(
        title="Weather",
        blocks=(blocks.table("By day", "day | >degrees", rows),),
        card=("it was warm",),
        closing=("it was sunny",),
    )
"""


@pytest.fixture
def weather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section in a module of its own, and nothing else changed."""
    (tmp_path / "weather.py").write_text(ADDED, encoding="utf-8")
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    monkeypatch.setattr(sections, "_BUILDERS", dict(sections._BUILDERS))
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


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("name", REPORTS)
def test_no_line_of_a_report_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = render_terminal(REPORTS[name](), width=width, colour=False).splitlines()

    assert max(map(len, lines)) <= width


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
