"""The top of the page: what was decided, on which numbers, and what to do next."""

from __future__ import annotations

from engine.evidence import Metric, Report, Status
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import badge, code, facts, glyph, prose
from engine.render.measures import best, direction, interval_of, is_lower_better, value_of
from engine.render.quantities import DASH, count, duration, percent, size
from engine.render.wording import (
    OUTCOME_STATUS,
    OUTCOMES,
    check_title,
    checks_of,
    commands_and_advice,
    find_metric,
    got,
    main_metric,
    required,
    undefined,
    why_absent,
)


def banner(report: Report) -> Markup:
    """The answer in one look: outcome, sentence, tally of checks, figures, next steps."""
    status = OUTCOME_STATUS.get(report.outcome, Status.WARN)
    word = OUTCOMES.get(report.outcome, report.outcome).capitalize()
    answer = tag(
        "div",
        glyph(status),
        tag(
            "div",
            tag("p", word, class_="outcome"),
            tag("p", prose(report.summary), class_="summary"),
        ),
        class_="answer",
    )
    return tag(
        "section",
        answer,
        _tally(report),
        _figures(report),
        _next_steps(report),
        class_=f"banner {status.value}",
        aria_label="Verdict",
    )


def _tally(report: Report) -> Markup:
    """The checks that did not pass, got and required, or how many passed."""
    checks = [check for _, check in checks_of(report)]
    left = [check for check in checks if check.status in (Status.FAIL, Status.INCONCLUSIVE)]
    if not checks:
        return Markup("")
    if not left:
        noun = "check passes" if len(checks) == 1 else "checks pass"
        return tag("p", f"{len(checks)} of {len(checks)} {noun}.", class_="tally")
    items = (
        tag(
            "li",
            badge(check.status),
            " ",
            code(check_title(check.name)),
            f" {got(check)}, required {required(check)}",
        )
        for check in left
    )
    return tag("ul", *items, class_="open-checks")


def _figures(report: Report) -> Markup:
    metric = main_metric(report)
    lower = f", {direction(metric)}" if is_lower_better(metric) else ""
    return facts(
        [
            (f"{metric}, holdout{lower}", _figure(report, find_metric(report.holdout, metric))),
            ("best baseline", _best_baseline(report, metric)),
            ("exported file", _exported(report, metric)),
            ("wall time", _pair(duration(report.seconds), _trained_for(report))),
        ],
        kind="figures",
    )


def _figure(report: Report, metric: Metric | None) -> Markup:
    if report.holdout is None or metric is None:
        return _pair(DASH, why_absent(report, "evaluate"))
    if metric.value is None:
        return _pair(DASH, undefined(metric))
    spread = interval_of(metric.name, metric.interval)
    told = f"{spread} on {count(report.holdout.rows)} rows".strip()
    return _pair(value_of(metric.name, metric.value), told)


def _best_baseline(report: Report, metric: str) -> Markup:
    found = best(
        metric, [(item.name, find_metric(item.scores, metric)) for item in report.baselines]
    )
    if found is None:
        absent = "none was asked for" if _has_none(report) else why_absent(report, "baseline")
        return _pair(DASH, absent)
    name, measured = found
    return _pair(value_of(metric, measured.value), name)


def _has_none(report: Report) -> bool:
    """Whether the stage ran and there was no baseline to measure."""
    done = ("ran", "reused")
    return any(item.stage == "baseline" and item.status.value in done for item in report.stages)


def _exported(report: Report, metric: str) -> Markup:
    found = find_metric(report.quantized, metric)
    if found is None or found.value is None:
        return _pair(DASH, why_absent(report, "verify"))
    file = next((item for item in report.files if item.bits_per_weight), None)
    parts = [size(file.bytes)] if file else []
    if (same := _agreement(report)) is not None:
        parts.append(f"{percent(same)} agreement")
    return _pair(value_of(metric, found.value), ", ".join(parts))


def _agreement(report: Report) -> float | None:
    """Of the file with the form before it."""
    last = report.ladder[-1].agreement if report.ladder else None
    return last.value if last else report.agreement


def _trained_for(report: Report) -> str:
    if report.training is None:
        return "no training in this run"
    return f"{duration(report.training.seconds)} of training"


def _pair(value: str, told: str) -> Markup:
    return join([tag("span", value, class_="value"), tag("span", told, class_="told")])


def _next_steps(report: Report) -> Markup:
    commands, advice = commands_and_advice(report)
    if not (commands or advice):
        return Markup("")
    title = "What would help" if advice else "Next"
    items = [tag("li", prose(step)) for step in advice]
    items += [tag("li", tag("code", step, class_="command")) for step in commands]
    return tag("div", tag("h2", title), tag("ul", *items), class_="next")
