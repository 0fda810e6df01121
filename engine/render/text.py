"""The terminal's lines: one or two a stage while it runs, the checks, and the closing block."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from engine.evidence import (
    BaselineResult,
    Check,
    DataSummary,
    ExportedFile,
    Report,
    Scores,
    Status,
    TrainingSummary,
    Verdict,
)
from engine.render.learning import learning_lines, telling_curves
from engine.render.progress import STAGE_WIDTH, WIDTH
from engine.render.proof import recorded_line, use_line
from engine.render.quantities import (
    count,
    duration,
    interval,
    millions,
    number,
    p_value,
    percent,
    size,
)
from engine.render.spans import Line, cells, line, pad, printable, to_text
from engine.render.wording import (
    OUTCOME_STATUS,
    OUTCOMES,
    check_title,
    commands_and_advice,
    find_metric,
    is_difference,
    required,
)

_INDENT = " " * STAGE_WIDTH
_TIME_WIDTH = 13
_ROOM = WIDTH - STAGE_WIDTH - _TIME_WIDTH
_LABEL_WIDTH = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One line of the plan."""

    stage: str
    state: str
    """`reuse`, `run` or `wait`."""
    why: str
    cost: str = ""


def stage_result(stage: str, told: str, *, seconds: float | None, colour: bool) -> str:
    """What a finished stage says: its name, the text (wrapped and indented), the time at right."""
    rows = [
        part
        for paragraph in told.splitlines()
        for part in textwrap.wrap(printable(paragraph), _ROOM, break_long_words=False)
    ] or [""]
    time = f"{duration(seconds):>{_TIME_WIDTH}}" if seconds is not None else ""
    head = line((pad(stage, STAGE_WIDTH), "strong"), pad(rows[0], _ROOM), (time, "quiet"))
    return to_text([head, *(line(_INDENT + row) for row in rows[1:])], colour=colour)


def data_line(data: DataSummary) -> str:
    """`800 rows read, 700 used (12 duplicate, …); 0 in two splits (exact 0, near 0)`."""
    dropped = ", ".join(f"{count(rows)} {why}" for why, rows in data.dropped.items() if rows)
    used = f"{count(data.rows_read)} rows read, {count(data.rows_used)} used"
    overlap = data.overlap_exact + data.overlap_near
    proof = f"exact {data.overlap_exact}, near {data.overlap_near}"
    left_out = f" ({dropped})" if dropped else ""
    kept = [recorded_line(data.recorded)] if data.recorded else []
    return _joined((f"{used}{left_out}", f"{overlap} in two splits ({proof})", *kept), "; ")


def baseline_lines(baselines: Sequence[BaselineResult], *, metric: str) -> str:
    """Every baseline's value of one metric, and whether any of them is already enough."""
    told = " · ".join(f"{item.name} {_short(item.scores, metric)}" for item in baselines)
    enough = [item.name for item in baselines if item.passes]
    verdict = (
        f"{' and '.join(enough)} already pass{'es' if len(enough) == 1 else ''} every threshold"
        if enough
        else "none passes the acceptance thresholds: training is warranted"
    )
    return f"{told}   {metric}\n{verdict}"


def training_line(training: TrainingSummary) -> str:
    """Steps, epochs, parameters, the losses at the kept step, and what was unusual."""
    kept = [
        point.eval_loss
        for point in training.history
        if point.step == training.kept_step and point.eval_loss is not None
    ]
    parts = [
        f"{training.steps} steps, {training.epochs:g} epochs on {count(training.rows)} rows",
        f"{millions(training.trainable_parameters)} parameters trained in {training.precision}",
        f"kept step {training.kept_step}" + (f" (validation loss {kept[-1]:.3f})" if kept else ""),
    ]
    if training.stopped_early:
        parts.append("stopped early")
    if training.resumed_from_step is not None:
        parts.append(f"continued from step {training.resumed_from_step}")
    return _joined(parts, " · ")


def check_lines(verdict: Verdict, *, stage: str, colour: bool) -> str:
    """One aligned line a check: name, got, interval, required, status; below it, why not."""
    return to_text(_check_table(verdict.checks, stage), colour=colour)


def verify_line(files: Sequence[ExportedFile], *, agreement: float | None, rows: int) -> str:
    """The quantized file: its size, effective bits, fallbacks, agreement with the merged model."""
    parts = []
    for file in files:
        if file.bits_per_weight is None:
            continue
        fell = f" ({file.fallback_tensors} of {file.tensors} tensors fell back)"
        shown = fell if file.fallback_tensors else ""
        bits = f"{file.bits_per_weight:.1f} bits a weight{shown}"
        parts.append(f"{file.name}, {size(file.bytes)}, {bits}")
    if agreement is not None:
        parts.append(f"agrees on {round(agreement * rows)} of {rows} rows ({percent(agreement)})")
    return _joined(parts, "; ")


def plan_table(
    rows: Sequence[PlanRow],
    *,
    title: str,
    facts: Sequence[tuple[str, str]] = (),
    closing: str = "",
    colour: bool,
) -> str:
    """The plan: a title, a table of stage, state, why and cost, named facts, and a closing sentence."""
    header = PlanRow(stage="stage", state="state", why="why", cost="cost")
    why = max(cells(printable(row.why)) for row in (header, *rows)) + 2
    why = max(40, min(why, WIDTH - 38))
    lines = [line((printable(title), "strong")), ()]
    lines += [_plan_line(row, why, heading=row is header) for row in (header, *rows)]
    lines += [()] if facts else []
    for name, told in facts:
        wrapped = textwrap.wrap(printable(told), WIDTH - 13, break_long_words=False) or [""]
        heads = [name, *[""] * (len(wrapped) - 1)]
        lines += [
            line(("  " + pad(head, 11), "quiet"), part)
            for head, part in zip(heads, wrapped, strict=True)
        ]
    if closing:
        lines += [(), *(line(part) for part in textwrap.wrap(printable(closing), WIDTH))]
    return to_text(lines, colour=colour)


def closing_block(report: Report, *, said: Sequence[str] = (), colour: bool) -> str:
    """The end of a run: the outcome, what did not pass, where things are, and what to do next.

    `said` is what else happened, such as a lock that was written.
    """
    status = OUTCOME_STATUS.get(report.outcome, Status.WARN)
    word = OUTCOMES.get(report.outcome, report.outcome.upper())
    name = printable(report.recipe_name)
    lines = [line((word, status.value), f"  {name}  ·  {duration(report.seconds)}")]
    if report.outcome != "accepted":
        lines += _paragraph(report.summary)
        lines += [line("  ", *row[1:]) for row in _open_checks(report)]
    for told in learning_lines(telling_curves(report), folds=report.folds):
        lines += _paragraph(told)
    commands, advice = commands_and_advice(report)
    if advice:
        lead = "what would help: " if report.gate and report.outcome != "accepted" else ""
        lines += _paragraph(lead + "; ".join(advice))
    use = report.holdout_use
    worn = [use_line(use)] if use and (use.looks or use.redraws) else []
    for sentence in (*worn, *said):
        lines += _paragraph(sentence)
    lines += _places(report, commands)
    return to_text(lines, colour=colour)


def _joined(parts: Sequence[str], separator: str) -> str:
    """The parts with separators between them, and line breaks where a line would be too long."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}{separator}{part}" if lines else part
        lines[-1:] = [longer] if len(longer) <= _ROOM else [*lines[-1:], part]
    return "\n".join(lines)


def _short(scores: Scores, metric: str) -> str:
    found = find_metric(scores, metric)
    return f"{found.value:.2f}" if found and found.value is not None else "not computed"


def _check_table(checks: Sequence[Check], stage: str) -> list[Line]:
    room = WIDTH - STAGE_WIDTH - 2 - max((len(check.status.value) for check in checks), default=0)
    rows = _columns(
        [(_short_title(check, checks), *_got(check), _wanted(check)) for check in checks]
    )
    if any(cells(row) > room for row in rows):
        rows = [row.replace("  required ", "  ", 1) for row in rows]
    lines: list[Line] = []
    for index, (check, row) in enumerate(zip(checks, rows, strict=True)):
        head = pad(stage, STAGE_WIDTH) if index == 0 else _INDENT
        lines.append(line((head, "strong"), row + "  ", (check.status.value, check.status.value)))
        if check.note and check.status is not Status.PASS:
            wrapped = textwrap.wrap(printable(check.note), WIDTH - STAGE_WIDTH - 2)
            lines += [line(_INDENT, ("  " + part, "quiet")) for part in wrapped]
    return lines


def _columns(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Rows of title, value, interval and demand, aligned; a value in words spans two columns."""
    valued = [row for row in rows if row[1][-1:].isdigit()]
    value = max((cells(row[1]) for row in valued), default=0)
    title, demand = (max((cells(row[at]) for row in rows), default=0) for at in (0, 3))
    spans = max(cells(_spanned(row, value)) for row in rows) if rows else 0
    return [
        f"{pad(row[0], title)}  {pad(_spanned(row, value), spans)}  {pad(row[3], demand)}"
        for row in rows
    ]


def _spanned(row: tuple[str, str, str, str], value: int) -> str:
    return f"{pad(row[1], value)}  {row[2]}".rstrip()


def _short_title(check: Check, checks: Sequence[Check]) -> str:
    alone = sum(item.name.startswith("over_baselines.") for item in checks) == 1
    if alone and check.name.startswith("over_baselines."):
        return "over baselines"
    return printable(check_title(check.name))


def _got(check: Check) -> tuple[str, str]:
    signed = is_difference(check)
    return number(check.got, signed=signed), interval(check.interval, signed=signed)


def _wanted(check: Check) -> str:
    tested = f", {p_value(check.p_value)}" if check.p_value is not None else ""
    return f"required {required(check)}{tested}"


def _open_checks(report: Report) -> list[Line]:
    verdicts = [gate for gate in (report.gate, report.verify) if gate]
    checks = [item for gate in verdicts for item in gate.checks]
    left = [item for item in checks if item.status in (Status.FAIL, Status.INCONCLUSIVE)]
    return _check_table(left, "")


def _plan_line(row: PlanRow, why: int, *, heading: bool) -> Line:
    state = "quiet" if heading or row.state != "run" else "strong"
    text = "quiet" if heading else ""
    return line(
        ("  " + pad(row.stage, 11), text),
        (pad(row.state, 8), state),
        (pad(printable(row.why), why), text),
        (printable(row.cost), text),
    )


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
