"""The end of a run on the terminal: the outcome, what did not hold, what would help, where things are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from engine.evidence import Report, Status
from engine.render.checks_text import check_rows
from engine.render.labels import OUTCOME_STATUS, OUTCOMES, checks_of, commands_and_advice, is_open
from engine.render.number_format import duration, size
from engine.render.progress import WIDTH
from engine.render.report.sections import report_sections
from engine.render.styled_text import Line, line, pad, paragraph, printable, to_text

_LABEL_WIDTH = 9


def closing_block(report: Report, *, events: Sequence[str] = (), colour: bool) -> str:
    """The end of a run: the outcome, what did not pass, where things are, and what to do next.

    `events` is what else happened, such as a lock that was written.
    """
    status = OUTCOME_STATUS.get(report.outcome, Status.WARN)
    word = OUTCOMES.get(report.outcome, report.outcome.upper())
    name = printable(report.recipe_name)
    lines = [line((word, status.value), f"  {name}  ·  {duration(report.seconds)}")]
    is_accepted = report.outcome == "accepted"
    if not is_accepted:
        lines += paragraph(report.summary, WIDTH)
        unmet = [check for _, check in checks_of(report) if is_open(check)]
        lines += [line("  ", *row[1:]) for row in check_rows(unmet, "")]
    sentences = [text for section in report_sections(report).values() for text in section.closing]
    commands, advice = commands_and_advice(report)
    if advice:
        lead = "what would help: " if report.gate and not is_accepted else ""
        sentences.append(lead + "; ".join(step.rstrip(".") for step in advice))
    for text in (*sentences, *events):
        lines += paragraph(text, WIDTH)
    return to_text([*lines, *_places(report, commands)], colour=colour)


def _places(report: Report, commands: Sequence[str]) -> list[Line]:
    folder = PurePosixPath(report.run_directory)
    rows: list[tuple[str, str]] = []
    if report.outcome == "accepted":
        rows += [
            ("model", f"{folder / file.name}   {size(file.bytes)}")
            for file in report.files
            if file.name.endswith(".gguf")
        ]
    if report.run_directory:
        rows.append(("report", str(folder / "report.html")))
    rows += [("try it" if step.startswith("recipe try") else "next", step) for step in commands]
    return [line(("  " + pad(name, _LABEL_WIDTH), "quiet"), printable(text)) for name, text in rows]
