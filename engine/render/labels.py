"""The words of a report, shared by every format: titles, demands, reasons for absence."""

from __future__ import annotations

from dataclasses import dataclass

from engine.evidence import Check, Metric, Report, Scores, StageStatus, Status
from engine.evidence.verdicts import DIFFERENCES
from engine.kinds import AnswerForm
from engine.render.blocks import Estimate, Muted
from engine.render.metric_format import (
    interval_of,
    kind_of,
    metric_name,
    primary_of,
    threshold_of,
    value_of,
)
from engine.render.number_format import p_values

OUTCOMES = {
    "accepted": "ACCEPTED",
    "refused": "REFUSED",
    "inconclusive": "INCONCLUSIVE",
    "baseline_passes": "NO TRAINING NEEDED",
    "failed": "FAILED",
    "interrupted": "INTERRUPTED",
    "stopped": "STOPPED",
}
OUTCOME_STATUS = {
    "accepted": Status.PASS,
    "refused": Status.FAIL,
    "inconclusive": Status.INCONCLUSIVE,
    "baseline_passes": Status.WARN,
    "failed": Status.FAIL,
    "interrupted": Status.WARN,
    "stopped": Status.WARN,
}
"""The colour an outcome has."""

_DIFFERENCES = (*DIFFERENCES, "overfitting", "forgetting")
_TITLES = {
    "over_baselines.": "{} over baselines",
    "over_previous.": "{} drop since the last accepted model",
    "drop.": "{} drop",
    "parity.": "{} parity",
    "shift.": "{} shift",
    "largest_shift.": "{} largest shift",
    "token_parity.": "token parity, {}",
}
_NAMES = {
    "token_parity": "token parity",
    "overfitting": "overfitting gap",
    "task_file": "task file",
    "free_output": "free output",
    "ended": "answers that end",
    "ends_turn": "end of turn",
}
_COMMAND = "recipe "


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedModel:
    """One row of the comparison: a baseline, the tuned model or its quantized file."""

    name: str
    kind: str
    """`baseline`, `tuned` or `quantized`."""
    scores: Scores
    note: str
    seconds: float | None = None
    passes: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassWords:
    """What the rows of the table by class are called."""

    title: str
    singular: str
    support: str
    """What is counted in what is true."""
    predicted: str
    """What is counted in the answers."""
    lead: str = ""


_CLASSES = ClassWords(title="Per class", singular="label", support="rows", predicted="predicted")
_FIELDS = ClassWords(
    title="Per field",
    singular="field",
    support="values",
    predicted="values predicted",
    lead="A value counts as right when it stands at the same place of the right answer. A field "
    "that repeats is a bag of values: their order does not count.",
)


def class_words(report: Report) -> ClassWords:
    """How the table by class is worded for the report's kind."""
    return _FIELDS if kind_of(report).counts_by == "field" else _CLASSES


def has_classes(report: Report) -> bool:
    """Tell whether answers of the kind have classes or fields to count by."""
    return bool(kind_of(report).counts_by)


def has_confusion(report: Report) -> bool:
    """Tell whether a row has one label, so that one can be taken for another."""
    return kind_of(report).answer is AnswerForm.LABEL


def is_difference(check: Check) -> bool:
    """Tell whether the check bounds a difference of two measurements: its number carries a sign."""
    return check.kind in _DIFFERENCES


def check_title(name: str) -> str:
    """The check's name for people; metrics keep the name they have in the recipe."""
    for prefix, title in _TITLES.items():
        if name.startswith(prefix):
            return title.format(name.removeprefix(prefix))
    return _NAMES.get(name, name)


def sign(direction: str) -> str:
    """`≥` for a minimum, `≤` for a maximum."""
    return "≥" if direction == "min" else "≤"


def required(check: Check) -> str:
    """What was demanded: `lower bound ≥ 0.80`, or only `≥ 0.05` where the point decides."""
    decided = "" if check.decided_on == "point" else f"{check.decided_on} "
    return f"{decided}{sign(check.direction)} {threshold_of(_metric(check), check.bound)}"


def got(check: Check) -> str:
    """What was measured, with its interval: `0.896 [0.858, 0.930]`."""
    return f"{got_value(check)} {got_interval(check)}".rstrip()


def got_value(check: Check) -> str:
    """The number that was measured, with a sign where it is a difference."""
    return value_of(_metric(check), check.got, signed=is_difference(check))


def got_interval(check: Check) -> str:
    """Its interval; empty for none."""
    return interval_of(_metric(check), check.interval, signed=is_difference(check))


def _metric(check: Check) -> str:
    return metric_name(check.name)


def check_sentence(check: Check) -> str:
    """Got and required in one line, for Markdown and alternative texts."""
    tested = p_values(check.p_value, check.p_adjusted)
    line = f"{check_title(check.name)} {got(check)}, required {required(check)}"
    return f"{line}, {tested}" if tested else line


def is_open(check: Check) -> bool:
    """Tell whether it does not hold, or is not decided."""
    return check.status in (Status.FAIL, Status.INCONCLUSIVE)


def checks_of(report: Report) -> tuple[tuple[str, Check], ...]:
    """Every check with the gate it belongs to, `gate` before `verify`."""
    gates = (("gate", report.gate), ("verify", report.verify))
    return tuple((name, check) for name, gate in gates if gate for check in gate.checks)


def find_metric(scores: Scores | None, name: str) -> Metric | None:
    """The metric, or None when there are no scores or it is not among them."""
    named = (metric for metric in scores.metrics if metric.name == name) if scores else iter(())
    return next(named, None)


def main_metric(report: Report) -> str:
    """The metric the comparison is about: the kind's own; where it was not measured, the first gated."""
    name = primary_of(report)
    if report.holdout is None or find_metric(report.holdout, name):
        return name
    gated = (check.name for check in report.gate.checks) if report.gate else iter(())
    return next((name for name in gated if find_metric(report.holdout, name)), name)


def main_check(report: Report) -> Check | None:
    """The check on the main metric, which carries its threshold."""
    name = main_metric(report)
    checks = report.gate.checks if report.gate else ()
    return next((check for check in checks if check.name == name), None)


def compared_models(report: Report) -> tuple[ComparedModel, ...]:
    """Baselines in the recipe's order, then the tuned model, then the quantized file."""
    rows = [
        ComparedModel(
            name=item.name,
            kind="baseline",
            scores=item.scores,
            note=item.note,
            seconds=item.seconds,
            passes=item.passes,
        )
        for item in report.baselines
    ]
    if report.holdout:
        passed = report.gate.status is Status.PASS if report.gate else None
        rows.append(
            ComparedModel(
                name="tuned model",
                kind="tuned",
                scores=report.folds or report.holdout,
                note=f"after training, {judged_by(report)}"
                + ("; each row by the model that did not see it" if report.folds else ""),
                passes=passed,
            )
        )
    if report.quantized:
        passed = report.verify.status is Status.PASS if report.verify else None
        quantized = next((file for file in report.files if file.bits_per_weight), None)
        rows.append(
            ComparedModel(
                name="exported file",
                kind="quantized",
                scores=report.quantized,
                note=quantized.name if quantized else "",
                passes=passed,
            )
        )
    return tuple(rows)


def judged_by(report: Report) -> str:
    """How the models' answers were had: `constrained decoding`, `free decoding`, or their likelihood."""
    return kind_of(report).judged_by


def why_absent(report: Report, stage: str) -> str:
    """Why a result of that stage is not there, as a sentence without a full stop."""
    record = next((item for item in report.stages if item.stage == stage), None)
    if record is None:
        return f"not computed: the {stage} stage was not part of this run"
    status = {
        StageStatus.SKIPPED: "was skipped",
        StageStatus.FAILED: "failed",
        StageStatus.INTERRUPTED: "was interrupted",
    }.get(record.status, "left no such result")
    reason = "; ".join(record.problems) or record.reason
    if record.status in (StageStatus.RAN, StageStatus.REUSED):
        reason = ""
    return f"not computed: the {stage} stage {status}" + (f" ({reason})" if reason else "")


def undefined(metric: Metric | None) -> str:
    """`not computed` with its reason, for a metric without a value."""
    if metric is None:
        return "not computed"
    return f"not computed: {metric.undefined}" if metric.undefined else "not computed"


def estimate(metric: Metric | None) -> Estimate | Muted:
    """The value with its interval; where there is no value, why."""
    if metric is None or metric.value is None:
        return Muted(undefined(metric))
    value = value_of(metric.name, metric.value)
    return Estimate(value, interval_of(metric.name, metric.interval))


def commands_and_advice(report: Report) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The next steps, divided into commands to run and sentences to read."""
    steps = report.next_steps
    commands = tuple(step for step in steps if step.startswith(_COMMAND))
    return commands, tuple(step for step in steps if not step.startswith(_COMMAND))


def confused_pairs(
    scores: Scores, labels: tuple[str, ...], *, most: int
) -> tuple[tuple[str, str, int], ...]:
    """The most frequent mistakes as (target, predicted, rows), most first; ties in label order.

    Invalid output is a prediction called `invalid output`. Empty for kinds without one label a row.
    """
    if not scores.confusion:
        return ()
    columns = (*labels, "invalid output")
    pairs = [
        (target, columns[index], count)
        for row, (target, counts) in enumerate(zip(labels, scores.confusion, strict=True))
        for index, count in enumerate(counts)
        if index != row and count
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair[2])[:most])
