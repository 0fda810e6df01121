"""A report as the last line of a notebook's cell (`engine.render`)."""

import importlib
from html.parser import HTMLParser

import pytest

from engine.evidence import SHOWN_AS, Report
from engine.render.report.page import render_html, render_markdown
from engine.values import replace
from support.reports import read_report


class _Frames(HTMLParser):
    """What is in a text: the attributes of its frames, and every other tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.frames: list[dict[str, str | None]] = []
        self.others: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "iframe":
            self.frames.append(dict(attrs))
        else:
            self.others.append(tag)


@pytest.fixture
def report() -> Report:
    importlib.import_module("engine.runs.api")  # what `engine.load_report` imports
    hostile = '"><script>alert(1)</script></iframe>'
    return replace(read_report("accepted"), recipe_name="tiny", description=hostile)


def test_a_notebook_shows_the_page_in_a_frame_that_may_nothing(report: Report) -> None:
    found = _Frames(str(report._repr_html_()))

    [frame] = found.frames
    assert found.others == []
    assert frame["srcdoc"] == render_html(report)
    assert "Content-Security-Policy" in str(frame["srcdoc"])
    assert frame["sandbox"] == ""
    assert "src" not in frame


def test_a_notebook_without_html_shows_markdown(report: Report) -> None:
    assert render_markdown(report) == report._repr_markdown_()


def test_a_report_shows_itself_to_nobody_before_that(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SHOWN_AS, "html")

    assert report._repr_html_() is None
