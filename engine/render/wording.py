"""What a report says, in words shared by every format: titles, demands, reasons for absence."""

from __future__ import annotations

from dataclasses import dataclass

from engine.evidence import Check, Metric, Report, Scores, StageStatus, Status
from engine.render.quantities import bound, interval, number, p_value

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

_DIFFERENCES = ("over_baselines.", "drop.", "overfitting")
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


def is_difference(check: Check) -> bool:
    """The check bounds a difference between two measurements, so its number carries a sign."""
    return check.name.startswith(_DIFFERENCES)


def check_title(name: str) -> str:
    """The check's name as a person says it; metrics keep the name they have in the recipe."""
    if name.startswith("over_baselines."):
        return f"{name.removeprefix('over_baselines.')} over baselines"
    if name.startswith("drop."):
        return f"{name.removeprefix('drop.')} drop"
    return {"token_parity": "token parity", "overfitting": "overfitting gap"}.get(name, name)


def sign(direction: str) -> str:
    """`≥` for a minimum, `≤` for a maximum."""
    return "≥" if direction == "min" else "≤"


def required(check: Check) -> str:
    """What was demanded: `lower bound ≥ 0.80`, or only `≥ 0.05` where the point decides."""
    decided = "" if check.decided_on == "point" else f"{check.decided_on} "
    return f"{decided}{sign(check.direction)} {bound(check.bound)}"


def got(check: Check) -> str:
    """What was measured, with its interval: `0.896 [0.858, 0.930]`."""
    signed = is_difference(check)
    return f"{number(check.got, signed=signed)} {interval(check.interval, signed=signed)}".rstrip()


def sentence(check: Check) -> str:
    """Got and required in one line, for Markdown and alternative texts."""
    tested = f", {p_value(check.p_value)}" if check.p_value is not None else ""
    return f"{check_title(check.name)} {got(check)}, required {required(check)}{tested}"


def checks_of(report: Report) -> tuple[tuple[str, Check], ...]:
    """Every check with the gate it belongs to, `gate` before `verify`."""
    gates = (("gate", report.gate), ("verify", report.verify))
    return tuple((name, check) for name, gate in gates if gate for check in gate.checks)


def find_metric(scores: Scores | None, name: str) -> Metric | None:
    """The metric, or None when there are no scores or it is not among them."""
    found = (metric for metric in scores.metrics if metric.name == name) if scores else iter(())
    return next(found, None)


def main_metric(report: Report) -> str:
    """The metric the comparison is about: the first one gated, else macro-F1."""
    gated = (check.name for check in report.gate.checks) if report.gate else iter(())
    return next((name for name in gated if find_metric(report.holdout, name)), "macro_f1")


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
                note="after training, constrained decoding"
                + ("; each row by the model that did not see it" if report.folds else ""),
                passes=passed,
            )
        )
    if report.quantized:
        passed = report.verify.status is Status.PASS if report.verify else None
        quantized = next((file for file in report.files if file.bits_per_weight), None)
        rows.append(
            ComparedModel(
                name="quantized file",
                kind="quantized",
                scores=report.quantized,
                note=quantized.name if quantized else "",
                passes=passed,
            )
        )
    return tuple(rows)


def why_absent(report: Report, stage: str) -> str:
    """Why a result of that stage is not there, as a sentence without a full stop."""
    record = next((item for item in report.stages if item.stage == stage), None)
    if record is None:
        return f"not computed: the {stage} stage was not part of this run"
    told = {
        StageStatus.SKIPPED: "was skipped",
        StageStatus.FAILED: "failed",
        StageStatus.INTERRUPTED: "was interrupted",
    }.get(record.status, "left no such result")
    reason = "; ".join(record.problems) or record.reason
    if record.status in (StageStatus.RAN, StageStatus.REUSED):
        reason = ""
    return f"not computed: the {stage} stage {told}" + (f" ({reason})" if reason else "")


def undefined(metric: Metric | None) -> str:
    """`not computed` with its reason, for a metric without a value."""
    if metric is None:
        return "not computed"
    return f"not computed: {metric.undefined}" if metric.undefined else "not computed"


def commands_and_advice(report: Report) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The next steps, divided into commands to run and sentences to read."""
    steps = report.next_steps
    commands = tuple(step for step in steps if step.startswith(_COMMAND))
    return commands, tuple(step for step in steps if not step.startswith(_COMMAND))


def confused_pairs(
    scores: Scores, labels: tuple[str, ...], *, most: int
) -> tuple[tuple[str, str, int], ...]:
    """The most frequent mistakes as (target, predicted, rows), most first; ties in label order.

    Invalid output is a prediction called `invalid output`.
    """
    columns = (*labels, "invalid output")
    pairs = [
        (target, columns[index], count)
        for row, (target, counts) in enumerate(zip(labels, scores.confusion, strict=True))
        for index, count in enumerate(counts)
        if index != row and count
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair[2])[:most])
