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
        tag("h1", report.recipe_name),
        tag("p", report.description, class_="description") if report.description else Markup(""),
        tag("p", join(head.made, Markup(' <span class="dot">·</span> ')), class_="spec"),
    ]
    return html_page(
        title=f"{report.recipe_name} · {head.outcome.lower()}",
        header=header,
        top=_banner(head, report.summary),
        sections=report_sections(report),
        footer=[_PROMISE, f"{report.recipe_name} · {report.started}"],
    )


def _banner(head: Top, sentence: str) -> Markup:
    seal = tag("span", GLYPHS[head.status], aria_hidden="true", class_="seal")
    outcome = tag("p", head.outcome, class_="outcome")
    answer = tag("p", inline(Prose(head.answer)), class_="summary")
    why = tag("p", inline(Prose(sentence)), class_="fine")
    steps = tag("ul", *(tag("li", inline(step)) for step in head.next_steps))
    return tag(
        "section",
        tag("div", seal, tag("div", outcome, answer, why), class_="answer"),
        *map(element, head.checks),
        tag("div", tag("h2", head.next_title), steps, class_="next") if head.next_steps else "",
        class_=f"banner {head.status.value}",
        aria_label="Verdict",
    )


def render_markdown(report: Report) -> str:
    """The whole report; a part that is absent says why."""
    head = top(report)
    parts = [
        f"# {markdown.plain(report.recipe_name)}: {head.outcome}",
        markdown.plain(report.description),
        f"**{markdown.prose(head.answer)}**",
        markdown.plain(report.summary),
        markdown.plain(" · ".join(head.made)),
        *map(markdown.markdown, head.checks),
        "\n".join(f"- {markdown.inline(step)}" for step in head.next_steps),
        *map(markdown.section, report_sections(report).values()),
    ]
    return markdown.joined(parts) + "\n"


def render_terminal(report: Report, *, store: str = "", width: int, colour: bool) -> str:
    """The whole report for a terminal of `width` columns; `store` as for `closing_block`."""
    head, gap = top(report, store=store), terminal.text("")
    outcome = terminal.text(head.outcome.upper(), head.status.value)
    sections = report_sections(report).values()
    parts = [
        outcome.append_text(terminal.text(f"  {report.recipe_name}")),
        terminal.text(head.answer.replace("`", "")),
        terminal.text(report.summary),
        terminal.text(" · ".join(head.made), "quiet"),
        gap,
        *(part for block in head.checks for part in terminal.renderables(block)),
        gap,
        *map(terminal.inline, head.next_steps),
        gap,
        *(part for section in sections for part in terminal.section(section)),
    ]
    return terminal.terminal_text(parts, width=width, colour=colour)
