"""The whole report: as one HTML page, as Markdown, and for the terminal."""

from __future__ import annotations

from engine.evidence import Report
from engine.render import markdown, terminal
from engine.render.blocks import Prose
from engine.render.html.elements import GLYPHS, element, inline
from engine.render.html.markup import Markup, join, tag
from engine.render.html.page import html_page
from engine.render.report.sections import report_sections
from engine.render.report.verdict import Top, top

_PROMISE = (
    "Every number on this page was measured in the run it describes, or in the run it names. "
    "What could not be measured is not shown as a number."
)


def render_html(report: Report) -> str:
    """One self-contained page, without script and request."""
    head = top(report)
    header = [
        tag("p", "Evidence report", class_="overline"),
        tag("h1", head.name),
        tag("p", head.description, class_="description") if head.description else Markup(""),
        tag("p", join(head.made, Markup(' <span class="dot">·</span> ')), class_="spec"),
    ]
    return html_page(
        title=f"{head.name} · {head.outcome.lower()}",
        header=header,
        top=_banner(head),
        sections=report_sections(report),
        footer=[_PROMISE, f"{head.name} · {report.started}"],
    )


def _banner(head: Top) -> Markup:
    answer = (
        tag("span", GLYPHS[head.status], aria_hidden="true", class_="seal"),
        tag(
            "div",
            tag("p", head.outcome, class_="outcome"),
            tag("p", inline(Prose(head.summary)), class_="summary"),
        ),
    )
    steps = tag("ul", *(tag("li", inline(step)) for step in head.next_steps))
    return tag(
        "section",
        tag("div", *answer, class_="answer"),
        *map(element, head.checks),
        element(head.figures),
        tag("div", tag("h2", head.next_title), steps, class_="next") if head.next_steps else "",
        class_=f"banner {head.status.value}",
        aria_label="Verdict",
    )


def render_markdown(report: Report) -> str:
    """The whole report; a part that is absent says why."""
    head = top(report)
    parts = [
        f"# {markdown.plain(head.name)}: {head.outcome}",
        markdown.plain(head.description),
        f"**{markdown.plain(head.summary)}**",
        markdown.plain(" · ".join(head.made)),
        *map(markdown.markdown, (*head.checks, head.figures)),
        "\n".join(f"- {markdown.inline(step)}" for step in head.next_steps),
        *map(markdown.section, report_sections(report).values()),
    ]
    return markdown.joined(parts) + "\n"


def render_terminal(report: Report, *, width: int, colour: bool) -> str:
    """The whole report for a terminal of `width` columns."""
    head = top(report)
    parts = [
        terminal.text(head.outcome.upper(), head.status.value).append_text(
            terminal.text(f"  {head.name}")
        ),
        terminal.text(head.summary),
        terminal.text(" · ".join(head.made), "quiet"),
        terminal.text(""),
        *(part for block in (*head.checks, head.figures) for part in terminal.renderables(block)),
        terminal.text(""),
        *(terminal.inline(step) for step in head.next_steps),
        terminal.text(""),
        *(
            part
            for section in report_sections(report).values()
            for part in terminal.section(section)
        ),
    ]
    return terminal.terminal_text(parts, width=width, colour=colour)
