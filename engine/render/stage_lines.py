"""The terminal's lines: one or two a stage while it runs, the checks, and the closing block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from engine.errors import listed
from engine.evidence import (
    BaselineResult,
    Check,
    DataSummary,
    ExportedFile,
    FormResult,
    Status,
    TrainingSummary,
    Verdict,
    find_metric,
)
from engine.render import number_format as write
from engine.render import terminal
from engine.render.label_tables import (
    best_baseline,
    check_sentence,
    check_title,
    got_interval,
    got_value,
    is_open,
    recorded_line,
    required,
)
from engine.render.progress_display import STAGE_WIDTH, WIDTH
from engine.render.report.sections.data import split_lines
from engine.render.report.sections.export import (
    broken_checks,
    ladder_summary,
    rung_answer,
    sample_text,
)
from engine.render.report.sections.training import packed


def verdict_line(verdict: Verdict) -> str:
    """`pass: 5 checks hold, 1 warning`."""
    found = Counter(check.status for check in verdict.checks)
    hold = found[Status.PASS]
    parts = [f"{write.counted(hold, 'check')} hold{'s' if hold == 1 else ''}"]
    for status, word in ((Status.FAIL, "failed"), (Status.INCONCLUSIVE, "inconclusive")):
        parts += [f"{found[status]} {word}"] if found[status] else []
    parts += [write.counted(found[Status.WARN], "warning")] if found[Status.WARN] else []
    return f"{verdict.status.value}: {', '.join(parts)}"


def check_lines(
    verdict: Verdict, *, most: int | None = None, colour: bool, width: int = WIDTH
) -> str:
    """The checks below the line of their stage; of all the first `most`, those that are open before the others."""
    shown = sorted(verdict.checks, key=lambda check: not is_open(check))
    shown = [check for check in verdict.checks if check in shown[:most]]
    rows = (terminal.indented(part, STAGE_WIDTH) for part in check_rows(shown))
    return terminal.terminal_text(rows, width=width, colour=colour)


def check_rows(checks: Sequence[Check]) -> Iterator[RenderableType]:
    """One aligned line a check: name, got, interval, required, status; below them, why not."""
    if checks:
        yield terminal.grid(
            [
                *map(terminal.text, (_title(one, checks), got_value(one), got_interval(one))),
                terminal.text(_required(one)),
                terminal.text(one.status.value, one.status.value),
            ]
            for one in checks
        )
    for check in checks:
        if check.note and check.status is not Status.PASS:
            note = terminal.text(f"{_title(check, checks)}: {check.note}", "quiet")
            yield terminal.indented(note)


def _title(check: Check, checks: Sequence[Check]) -> str:
    """The title, shorter for comparisons; the metric is left out where there is one such check."""
    title = write.WORDS["compared"].get(check.kind)
    if title is None:
        return check_title(check.name)
    form = check.name.removesuffix(check.asked)
    others = [one for one in checks if (one.kind, one.name) == (check.kind, f"{form}{one.asked}")]
    title = title if len(others) == 1 else f"{check.metric} {title}"
    return f"{form.removesuffix('.')} {title}".lstrip()


def _required(check: Check) -> str:
    p, by = check.p_value, ""
    if check.p_adjusted not in (None, p):
        p, by = check.p_adjusted, "Holm "
    return required(check) + ("" if p is None else f", {by}{write.p_value(p)}")


_TIME_WIDTH = 13
_ROOM = WIDTH - STAGE_WIDTH - _TIME_WIDTH


def stage_result(
    stage: str,
    text: str,
    *,
    took: str,
    colour: bool,
    width: int = WIDTH,
    most: int = 0,
) -> str:
    """The result of a finished stage: its name, the text (wrapped and indented), the time at right.

    Of the text as many lines as fit in `most` drawn ones, 0 for all, and the first in any case.
    """
    indent = max(STAGE_WIDTH, len(stage) + 2)
    room = width - indent - _TIME_WIDTH
    drawn: list[Text] = []
    for line in text.splitlines() or [""]:
        # the time takes its room from the first one only
        shown = terminal.broken(terminal.text(line), width - indent if drawn else room)
        if drawn and most and len(drawn) + len(shown) > most:
            break
        drawn += shown
    drawn[0].append(" " * max(2, width - indent - cell_len(drawn[0].plain + took)))
    drawn[0].append_text(terminal.text(took, "quiet"))
    part = terminal.Hanging(terminal.text(stage, "strong"), indent, Group(*drawn))
    return terminal.terminal_text([part], width=width, colour=colour)


def dropped_words(data: DataSummary) -> str:
    """`12 duplicate, 3 empty`."""
    return ", ".join(f"{write.count(rows)} {why}" for why, rows in data.dropped.items() if rows)


def data_line(data: DataSummary) -> str:
    """`800 rows read, 700 used (12 duplicate, …); 400 train / 300 holdout; 0 in two splits (exact 0, near 0)`."""
    dropped = dropped_words(data)
    used = f"{write.count(data.rows_read)} rows read, {write.count(data.rows_used)} used"
    left_out = f" ({dropped})" if dropped else ""
    sizes = " / ".join(f"{split.rows} {split.name}" for split in data.splits)
    overlap = data.overlap_exact + data.overlap_near
    proof = f"{overlap} in two splits (exact {data.overlap_exact}, near {data.overlap_near})"
    warned = [one for one in data.findings if one.action == "warn" and one.count]
    found = ", ".join(f"{write.count(one.count)} {one.check}" for one in warned)
    seen = f"; to look at: {found}" if found else ""
    kept = [recorded_line(data.recorded)] if data.recorded else []
    return "\n".join(
        filter(None, [f"{used}{left_out}", sizes, f"{proof}{seen}", *split_lines(data), *kept])
    )


def baseline_lines(baselines: Sequence[BaselineResult], *, metric: str) -> str:
    values = []
    for item in baselines:
        measured = find_metric(item.scores, metric)
        value = measured.value if measured else None
        # several stand on a line, so that two decimals of a share have to do
        short = write.amount(value, decimals=2)
        shown = short if write.is_share(metric) else write.value_of(metric, value)
        values.append(f"{item.name} {shown}")
    name = f"{write.prose_name(metric)}{write.lower_note(metric)}"
    shown = _joined([*values[:-1], f"{values[-1]}   {name}"], " · ")
    enough = [item.name for item in baselines if item.passes]
    if enough:
        passes = f"pass{'es' if len(enough) == 1 else ''}"
        return f"{shown}\n{listed(enough)} already {passes} every threshold"
    leader = best_baseline(baselines, metric)
    first = f"best is {leader[0]}; " if leader and len(baselines) > 1 else ""
    return f"{shown}\n{first}none passes every threshold: training is warranted"


def training_line(training: TrainingSummary) -> str:
    kept = training.kept_loss
    loss = "" if kept is None else f" (validation loss {kept:.3f})"
    counts = {"left out": training.rows_left_out, "cut": training.rows_cut}
    unseen = ", ".join(f"{write.count(rows)} {what}" for what, rows in counts.items() if rows)
    rows = f"{write.count(training.rows)} rows{packed(training)}{f' ({unseen})' if unseen else ''}"
    parts = [
        f"{write.counted(training.steps, 'step')}, {write.epochs(training.epochs)} on {rows}",
        f"{write.millions(training.trainable_parameters)} parameters trained in {training.precision}",
        f"kept step {training.kept_step}{loss}",
    ]
    if training.stopped_early:
        parts.append("stopped early")
    if training.resumed_from_step is not None:
        parts.append(f"continued from step {training.resumed_from_step}")
    return _joined(parts, " · ")


def file_line(files: Sequence[ExportedFile]) -> str:
    parts = []
    for file in (file for file in files if file.bits_per_weight is not None):
        fell = f" ({file.fallback_tensors} of {file.tensors} tensors fell back)"
        bits = f"{file.bits_per_weight:.1f} bits a weight{fell if file.fallback_tensors else ''}"
        parts.append(f"{file.name}, {write.size(file.bytes)}, {bits}")
    return _joined(parts, "; ")


def ladder_lines(ladder: Sequence[FormResult], *, metric: str) -> str:
    """The main metric from form to form, what the last step changed, and which forms were refused why."""
    if not ladder:
        return ""
    shown = f"{ladder_summary(ladder, metric)}   {write.prose_name(metric)}".split(" · ")
    lines = [_joined(shown, " · ")]
    broken = ((rung, "; ".join(map(check_sentence, broken_checks(rung)))) for rung in ladder)
    lines += [f"{rung.name} {rung_answer(rung)}: {why}" for rung, why in broken if why]
    taken = [rung for rung in ladder if rung.verdict is None or rung.verdict.status is Status.PASS]
    kept = ladder[-1] if taken and taken[-1] is ladder[-1] else None
    agreed = kept.agreement if kept else None
    if kept and agreed and agreed.value is not None:
        same = (
            f"{round(agreed.value * agreed.n)} of {agreed.n} rows ({write.percent(agreed.value)})"
        )
        lines.append(f"{kept.name} agrees on {same}, {write.count(len(kept.flips))} changed")
    elif kept and kept.mean_shift is not None:
        shift = f"{kept.mean_shift:.4f} nats on average"
        lines.append(f"{kept.name} moved log-probabilities by {shift}")
    lines += [f"{rung.name} {text}" for rung in ladder if (text := sample_text(rung))]
    return "\n".join(lines)


def _joined(parts: Sequence[str], separator: str) -> str:
    """The parts with separators between them, and line breaks where a line would be too long."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}{separator}{part}" if lines else part
        lines[-1:] = [longer] if len(longer) <= _ROOM else [*lines[-1:], part]
    return "\n".join(lines)
