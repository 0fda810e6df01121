"""The words of a report, shared by every format: titles, demands, reasons for absence."""

import math
import shlex
from collections.abc import Mapping, Sequence
from functools import partial

from engine.evidence import (
    BaselineResult,
    Check,
    Comparison,
    ExportedFile,
    Metric,
    Recorded,
    Report,
    Scores,
    StageStatus,
    Status,
    Verdict,
    find_metric,
)
from engine.evidence.verdicts import DIFFERENCES, EXPORTED
from engine.recipe.baselines import ASKS_BASE_MODEL, EXPORTABLE
from engine.recipe.metrics import keeps_bound
from engine.render import number_format as write
from engine.render.blocks import Absent, Estimate, Muted

_DIFFERENCES = (*DIFFERENCES, "overfitting", "forgetting", "drift")
_COMMAND = "recipe "
_MOST_DECIMALS = 12


def outcome_of(report: Report) -> tuple[str, Status]:
    word, status = write.WORDS["outcomes"].get(
        report.outcome, (report.outcome.upper(), Status.WARN)
    )
    return word, Status(status)


def class_words(report: Report) -> Mapping[str, str]:
    """What the rows of the table by class are called; `support` and `predicted` is what is counted in them."""
    words: Mapping[str, str] = write.WORDS[
        "fields" if write.kind_of(report).counts_by == "field" else "classes"
    ]
    return words


def has_classes(report: Report) -> bool:
    return bool(write.kind_of(report).counts_by)


def is_difference(check: Check) -> bool:
    return check.kind in _DIFFERENCES


def check_title(name: str) -> str:
    """The check's name for people; metrics keep the name they have in the recipe."""
    form, _, rest = name.partition(".")
    if rest and form in EXPORTED:
        return f"{form} {check_title(rest)}"
    for prefix, title in write.WORDS["check_prefixes"].items():
        if name.startswith(prefix) and name not in write.WORDS["checks"]:
            return str(title.format(name.removeprefix(prefix)))
    return str(write.WORDS["checks"].get(name, name))


def explanation(check: Check) -> str:
    name = "" if is_difference(check) else check.metric.partition(".")[0]
    return check.note or str(write.WORDS["explanations"].get(name, ""))


def sign(direction: str) -> str:
    """`≥` for a minimum, `≤` for a maximum."""
    return "≥" if direction == "min" else "≤"


def required(check: Check) -> str:
    """What was demanded: `lower bound ≥ 0.80`, or only `≥ 0.05` where the point decides."""
    decided = "" if check.decided_on == "point" else f"{check.decided_on} "
    return f"{decided}{sign(check.direction)} {write.threshold_of(check.name, check.bound)}"


def got(check: Check) -> str:
    return f"{got_value(check)} {got_interval(check)}".rstrip()


def got_value(check: Check) -> str:
    decimals = _enough_decimals(check, check.got)
    return write.value_of(check.name, check.got, signed=is_difference(check), decimals=decimals)


def got_interval(check: Check) -> str:
    own = check.interval
    end = None if own is None else own.low if check.direction == "min" else own.high
    decimals = _enough_decimals(check, end)
    return write.interval_of(check.name, own, signed=is_difference(check), decimals=decimals)


def _enough_decimals(check: Check, value: float | None) -> int:
    """Return as many decimals as show on which side of the bound a number is: 0.7996 is not the 0.80 that it misses."""
    usual = write.decimals_of(check.name)
    if value is None or not math.isfinite(value):
        return usual

    keeps = partial(keeps_bound, direction=check.direction, bound=check.bound)
    enough = (
        decimals
        for decimals in range(usual, _MOST_DECIMALS)
        if keeps(round(value, decimals)) == keeps(value)
    )
    return next(enough, _MOST_DECIMALS)


def check_sentence(check: Check) -> str:
    tested = write.p_values(check.p_value, check.p_adjusted)
    line = f"{check_title(check.name)} {got(check)}, required {required(check)}"
    return f"{line}, {tested}" if tested else line


def is_open(check: Check) -> bool:
    return check.status in (Status.FAIL, Status.INCONCLUSIVE)


def checks_of(*verdicts: Verdict | None) -> tuple[Check, ...]:
    return tuple(check for verdict in verdicts if verdict for check in verdict.checks)


def file_metric(report: Report, name: str) -> Metric | None:
    """A metric of the quantized file, or of what is exported last; with folds as its check has it, of all rows."""
    last = report.ladder[-1] if report.ladder and report.verify else None
    form = "" if report.quantized or last is None else f"{last.name}."
    for check in checks_of(report.verify):
        if check.name == f"{form}{name}" and check.got is not None:
            return Metric(name=name, value=check.got, n=check.n, interval=check.interval)
    return find_metric(report.quantized or (last.scores if last else None), name)


def best_baseline(baselines: Sequence[BaselineResult], metric: str) -> tuple[str, Metric] | None:
    """The baseline whose value is best in the metric's direction, with its name; the first of equals."""
    sign = -1 if write.is_lower_better(metric) else 1
    found = ((item.name, find_metric(item.scores, metric)) for item in baselines)
    valued = [(name, item) for name, item in found if item and item.value is not None]
    return max(valued, key=lambda named: sign * (named[1].value or 0.0), default=None)


def shown_model(report: Report) -> tuple[str, Scores] | None:
    """Whose holdout answers are shown in full: the tuned model's, or the baseline's that is to be used instead.

    A passing baseline ends a run before there is a tuned model; then its classes and mistakes are what a user ships.
    """
    if report.holdout is not None:
        return "the tuned model", report.holdout
    # of several the first that has learned something, which the next steps name first, too
    passing = [item for item in report.baselines if item.passes]
    passing.sort(key=lambda item: item.name not in (*EXPORTABLE, *ASKS_BASE_MODEL))
    return (passing[0].name, passing[0].scores) if passing else None


def main_metric(report: Report) -> str:
    """The metric the comparison is about: the report's own; where it was not measured, the first gated."""
    name = report.headline or write.primary_of(report)
    if report.holdout is None or find_metric(report.holdout, name):
        return name
    gated = (check.name for check in checks_of(report.gate))
    return next((name for name in gated if find_metric(report.holdout, name)), name)


def quantized_file(report: Report) -> ExportedFile | None:
    return next((file for file in report.files if file.bits_per_weight), None)


def judged_by(report: Report) -> str:
    """How the models' answers were had: `constrained decoding`, `free decoding`, or their likelihood."""
    return write.kind_of(report).judged_by


def absent(report: Report, stage: str) -> Absent:
    return Absent(why_absent(report, stage))


def untrained(report: Report) -> str:
    """A sentence behind what says how a model is trained, where none was."""
    return "" if report.training else " No model was trained on it in this run."


def why_absent(report: Report, stage: str) -> str:
    record = next((item for item in report.stages if item.stage == stage), None)
    if record is None:
        return f"not computed: the {stage} stage was not part of this run"
    status = {
        StageStatus.SKIPPED: "was skipped",
        StageStatus.FAILED: "failed",
        StageStatus.INTERRUPTED: "was interrupted",
    }.get(record.status, "left no such result")
    # of a stage that began, `reason` is why it did
    whys = {StageStatus.SKIPPED: record.reason, StageStatus.FAILED: "; ".join(record.problems)}
    reason = whys.get(record.status, "")
    return f"not computed: the {stage} stage {status}" + (f" ({reason})" if reason else "")


def undefined(metric: Metric | None) -> str:
    return f"{write.NOTHING}: {metric.undefined}" if metric and metric.undefined else write.NOTHING


def estimate(metric: Metric | None) -> Estimate | Muted:
    if metric is None or metric.value is None:
        return Muted(undefined(metric))
    value = write.value_of(metric.name, metric.value)
    return Estimate(value, write.interval_of(metric.name, metric.interval))


def change(metric: Metric, *, signed: bool = True) -> Estimate:
    """A number with three decimals and its interval, of a difference with signs."""
    return Estimate(
        write.number(metric.value, signed=signed), write.interval(metric.interval, signed=signed)
    )


def difference(item: Comparison) -> Estimate:
    """How much better the tuned model is, with its interval, as the metric is written."""
    shown = write.value_of(item.metric, item.difference, signed=True)
    return Estimate(shown, write.interval_of(item.metric, item.interval, signed=True))


def commands_and_advice(
    report: Report, *, store: str = ""
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The next steps, divided into commands to run and sentences to read.

    `store` is the folder that the caller named for results, which the commands then need too.
    """
    named = f" --store {shlex.quote(store)}" if store else ""
    commands = [step for step in report.next_steps if step.startswith(_COMMAND)]
    advice = tuple(step for step in report.next_steps if step not in commands)
    return tuple(f"{command}{named}" for command in commands), advice


def recorded_line(recorded: Recorded) -> str:
    """`12 new rows: 9 to train, 3 in no split; holdout: 300 kept, 0 gone, 0 added`."""
    kept, gone, added = map(write.count, (recorded.kept, recorded.gone, recorded.added))
    holdout = f"holdout: {kept} kept, {gone} gone, {added} added"
    if recorded.new_rows is None:
        return f"which rows are new is not known; {holdout}"
    new = sum(recorded.new_rows.values())
    if not new:
        return f"no new rows; {holdout}"
    parts = ", ".join(
        f"{write.count(rows)} {'in no split' if name == 'none' else f'to {name}'}"
        for name, rows in recorded.new_rows.items()
        if rows
    )
    return f"{write.counted(new, 'new row')}: {parts}; {holdout}"
