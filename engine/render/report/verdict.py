"""The top of a report: what was decided, on which numbers, and what to do next."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.evidence import Check, Metric, Report, Status
from engine.render import blocks
from engine.render.labels import (
    best_baseline,
    check_title,
    checks_of,
    commands_and_advice,
    file_metric,
    find_metric,
    got,
    is_open,
    main_metric,
    outcome_of,
    quantized_file,
    required,
    undefined,
    why_absent,
)
from engine.render.metric_format import direction, interval_of, is_lower_better, value_of
from engine.render.number_format import DASH, count, duration, size
from engine.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """The answer in one look."""

    made: tuple[str, ...]
    """Method, base model, and when."""
    status: Status
    outcome: str
    checks: tuple[blocks.Block, ...]
    """Those that did not pass, or how many did; then the main figures."""
    next_title: str
    next_steps: tuple[blocks.Cell, ...]


def top(report: Report, *, store: str = "") -> Top:
    """Outcome, sentence, checks, figures, next steps; `store` as for `commands_and_advice`."""
    metric = main_metric(report)
    lower = f", {direction(metric)}" if is_lower_better(metric) else ""
    when = f"{datetime.fromisoformat(report.started).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    commands, advice = commands_and_advice(report, store=store)
    outcome, status = outcome_of(report)
    training = report.training
    trained = f"{duration(training.seconds)} of training" if training else "no training in this run"
    tuned = _tuned(report, find_metric(report.holdout, metric))
    scores = [("exported file", _exported(report, metric)), ("tuned model", tuned)]
    # what users get leads, where there is such a file
    (first, leading), second = scores if file_metric(report, metric) else reversed(scores)
    figures = (
        (f"{metric}, {first}{lower}", leading),
        second,
        ("best baseline", _best_baseline(report, metric)),
        ("wall time", blocks.Estimate(duration(report.seconds), trained)),
    )
    return Top(
        # the method without "on" and the model's short name, which the base model begins with
        made=(report.method.partition(" on ")[0], report.base_model, when),
        status=status,
        outcome=outcome.capitalize(),
        checks=(*_checks(report), blocks.Facts(figures, kind="figures")),
        next_title="What would help" if advice else "Next",
        next_steps=(*map(blocks.Prose, advice), *map(blocks.Code, commands)),
    )


def _checks(report: Report) -> tuple[blocks.Block, ...]:
    checks = checks_of(report.gate, report.verify)
    if unmet := tuple(_open_check(check) for check in checks if is_open(check)):
        return (blocks.Bullets(unmet, kind="open-checks"),)
    if not checks:
        return ()
    passed = sum(check.status is Status.PASS for check in checks)
    warned = len(checks) - passed
    tally = f"{passed} of {len(checks)} {'check passes' if len(checks) == 1 else 'checks pass'}"
    warns = f", {warned} {'warns' if warned == 1 else 'warn'}" if warned else ""
    return (blocks.Paragraph(f"{tally}{warns}.", "tally"),)


def _open_check(check: Check) -> blocks.Cell:
    numbers = f" {got(check)}, required {required(check)}"
    return blocks.status_badge(check.status), " ", blocks.Code(check_title(check.name)), numbers


def _tuned(report: Report, metric: Metric | None) -> blocks.Estimate:
    if report.holdout is None or metric is None:
        return blocks.Estimate(DASH, why_absent(report, "evaluate"))
    if metric.value is None:
        return blocks.Estimate(DASH, undefined(metric))
    rows = f"on {count(report.holdout.rows)} rows"
    interval = interval_of(metric.name, metric.interval)
    return blocks.Estimate(value_of(metric.name, metric.value), f"{interval} {rows}".strip())


def _best_baseline(report: Report, metric: str) -> blocks.Estimate:
    best = best_baseline(report.baselines, metric)
    if best is not None:
        return blocks.Estimate(value_of(metric, best[1].value), best[0])
    states = (item.status.value for item in report.stages if item.stage == "baseline")
    done = any(state in ("ran", "reused") for state in states)
    return blocks.Estimate(DASH, "none was asked for" if done else why_absent(report, "baseline"))


def _exported(report: Report, metric: str) -> blocks.Estimate:
    measured = file_metric(report, metric)
    if measured is None or measured.value is None:
        return blocks.Estimate(DASH, why_absent(report, "verify"))
    file = quantized_file(report)
    parts = [interval_of(metric, measured.interval), *([size(file.bytes)] if file else [])]
    return blocks.Estimate(value_of(metric, measured.value), " · ".join(filter(None, parts)))
