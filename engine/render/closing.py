"""The end of a run on the terminal: the outcome, what did not hold, what would help, where things are."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import PurePosixPath

from engine.evidence import Check, Report, Status
from engine.render import forgetting, repeating
from engine.render.checklines import check_rows
from engine.render.ladder import summary
from engine.render.learning import learning_lines, telling_curves
from engine.render.measures import spoken
from engine.render.progress import WIDTH
from engine.render.proof import use_line
from engine.render.quantities import duration, size
from engine.render.rowfit import row_lines
from engine.render.spans import Line, line, pad, printable, to_text
from engine.render.wording import (
    OUTCOME_STATUS,
    OUTCOMES,
    commands_and_advice,
    main_metric,
    waiver_lines,
)

_LABEL_WIDTH = 9


def closing_block(report: Report, *, said: Sequence[str] = (), colour: bool) -> str:
    """The end of a run: the outcome, what did not pass, where things are, and what to do next.

    `said` is what else happened, such as a lock that was written.
    """
    status = OUTCOME_STATUS.get(report.outcome, Status.WARN)
    word = OUTCOMES.get(report.outcome, report.outcome.upper())
    name = printable(report.recipe_name)
    lines = [line((word, status.value), f"  {name}  ·  {duration(report.seconds)}")]
    if repeated := repeating.closing_line(report):
        lines += _paragraph(repeated)
    if report.outcome != "accepted":
        lines += _paragraph(report.summary)
        lines += [line("  ", *row[1:]) for row in _open_checks(report)]
        for told in _background(report):
            lines += _paragraph(told)
    for told in learning_lines(
        telling_curves(report), folds=report.folds, metric=main_metric(report)
    ):
        lines += _paragraph(told)
    commands, advice = commands_and_advice(report)
    if advice:
        lead = "what would help: " if report.gate and report.outcome != "accepted" else ""
        lines += _paragraph(lead + "; ".join(one.rstrip(".") for one in advice))
    for told in row_lines(report.lengths):
        lines += _paragraph(told)
    use = report.holdout_use
    worn = [use_line(use)] if use and (use.looks or use.redraws) else []
    for sentence in (*worn, *waiver_lines(report), *said):
        lines += _paragraph(sentence)
    lines += _places(report, commands)
    return to_text(lines, colour=colour)


def _background(report: Report) -> list[str]:
    """What stands behind a check that does not hold: the ladder, the probes, what rows can show."""
    told: list[str] = []
    open_names = {check.name for check in _left(report)}
    found = report.forgetting
    if found and "forgetting" in open_names and (most := forgetting.worst(found)):
        told.append(f"most was lost on {forgetting.sentence(most, found)}")
    if report.ladder and report.verify and report.verify.status is not Status.PASS:
        metric = main_metric(report)
        told.append(f"{spoken(metric)} from form to form: {summary(report.ladder, metric)}")
    if report.outcome == "inconclusive":
        told += report.power[:1]
    return told


def _left(report: Report) -> list[Check]:
    """The checks that do not hold."""
    verdicts = [gate for gate in (report.gate, report.verify) if gate]
    checks = [item for gate in verdicts for item in gate.checks]
    return [item for item in checks if item.status in (Status.FAIL, Status.INCONCLUSIVE)]


def _open_checks(report: Report) -> list[Line]:
    return check_rows(_left(report), "")


def _paragraph(text: str) -> list[Line]:
    wrapped = textwrap.wrap(printable(text), WIDTH - 2, break_long_words=False)
    return [line("  " + part) for part in wrapped]


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
