"""The end of a run on the terminal: the outcome, what did not hold, what would help, where things are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from rich.console import RenderableType

from engine.evidence import Report
from engine.render import terminal
from engine.render.checks_text import check_rows
from engine.render.labels import checks_of, commands_and_advice, is_open, outcome_of
from engine.render.number_format import duration, size
from engine.render.progress import WIDTH
from engine.render.report.sections import report_sections

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
    """What the sections say, and what would help."""
    for section in report_sections(report).values():
        yield from filter(None, section.closing)
    _, advice = commands_and_advice(report)
    if advice:
        lead = "what would help: " if report.gate and report.outcome != "accepted" else ""
        yield lead + "; ".join(step.rstrip(".") for step in advice)


def _places(report: Report, store: str) -> Iterator[RenderableType]:
    """Where the files are, and commands: each whole, to be copied."""
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
