"""The whole report: as one HTML page, as Markdown, and for the terminal."""

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from rich.console import RenderableType

from engine.evidence import Report
from engine.files.reading import parse_json
from engine.render import markdown, terminal
from engine.render.blocks import Prose
from engine.render.html_elements import GLYPHS, element, html_page, inline
from engine.render.html_markup import Markup, join, tag
from engine.render.label_tables import checks_of, commands_and_advice, is_open, outcome_of
from engine.render.number_format import duration, size
from engine.render.progress_display import WIDTH
from engine.render.report.outcome import Top, top
from engine.render.report.sections import report_sections
from engine.render.stage_lines import check_rows
from engine.values import from_json, to_json


def render_json(report: Report) -> str:
    return json.dumps(to_json(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(text: str) -> Report:
    """A report read back from `render_json`, equal to the one that was written.

    Raises:
        ValueError: it is no JSON, nested too deep, or no report.

    """
    return from_json(Report, parse_json(text))


_HEAD = 11
"""Columns before a place or a command."""


def closing_block(
    report: Report,
    *,
    events: Sequence[str] = (),
    store: str = "",
    colour: bool,
    width: int = WIDTH,
) -> str:
    """The end of a run: the outcome, what did not pass, where things are, and what to do next.

    `events` is what else happened, such as a lock that was written; `store` the folder that the caller named for
    results, which the commands then need too.
    """
    word, status = outcome_of(report)
    name = terminal.text(f"  {report.recipe_name}  ·  {duration(report.seconds)}")
    parts: list[RenderableType] = []
    if report.outcome != "accepted":
        unmet = [check for check in checks_of(report.gate, report.verify) if is_open(check)]
        parts += [terminal.text(report.summary), *check_rows(unmet)]
    parts += map(terminal.text, (*_sentences(report), *events))
    head = terminal.text(word, status.value).append_text(name)
    shown = [head, *map(terminal.indented, parts), *_places(report, store)]
    return terminal.terminal_text(shown, width=width, colour=colour)


def _sentences(report: Report) -> Iterator[str]:
    for section in report_sections(report).values():
        yield from section.closing
    _, advice = commands_and_advice(report)
    if advice:
        lead = "what would help: " if report.gate and report.outcome != "accepted" else ""
        yield lead + "; ".join(step.rstrip(".") for step in advice)


def _places(report: Report, store: str) -> Iterator[RenderableType]:
    folder = PurePosixPath(report.run_directory)
    commands, _ = commands_and_advice(report, store=store)
    rows: list[tuple[str, str]] = []
    if report.diagnosis:
        rows += [("edit", line) for line in report.diagnosis.yaml.splitlines()]
    if report.outcome == "accepted":
        files = (file for file in report.files if file.name.endswith(".gguf"))
        rows += [("model", f"{folder / file.name}   {size(file.bytes)}") for file in files]
    if report.run_directory:
        rows.append(("report", str(folder / "report.html")))
    rows += [("try it" if step.startswith("recipe try") else "next", step) for step in commands]
    for name, text in rows:
        head = terminal.text(f"  {name}", "quiet")
        yield terminal.Hanging(head, _HEAD, terminal.text(terminal.bound(text)))


_PROMISE = (
    "Every number on this page was measured in the run it describes, or in the run it names. "
    "What could not be measured is not shown as a number."
)


def render_html(report: Report) -> str:
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
