"""The top of the page: what was decided, on which numbers, every check against its bound."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Check, Interval, Metric, Report, Status, Verdict
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import (
    absent,
    badge,
    code,
    facts,
    glyph,
    heading,
    muted,
    prose,
    section,
    spread,
)
from engine.render.html.tracks import Axis, difference_axis, interval_track, score_axis
from engine.render.quantities import (
    DASH,
    MINUS,
    count,
    duration,
    interval,
    number,
    p_value,
    percent,
    size,
)
from engine.render.wording import (
    OUTCOME_STATUS,
    OUTCOMES,
    check_title,
    checks_of,
    commands_and_advice,
    find_metric,
    got,
    is_difference,
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
    return facts(
        [
            (f"{metric}, holdout", _figure(report, find_metric(report.holdout, metric))),
            ("best baseline", _best_baseline(report, metric)),
            ("quantized file", _quantized(report, metric)),
            ("wall time", _pair(duration(report.seconds), _trained_for(report))),
        ],
        kind="figures",
    )


def _figure(report: Report, metric: Metric | None) -> Markup:
    if report.holdout is None or metric is None:
        return _pair(DASH, why_absent(report, "evaluate"))
    if metric.value is None:
        return _pair(DASH, undefined(metric))
    told = f"{interval(metric.interval)} on {count(report.holdout.rows)} rows".strip()
    return _pair(number(metric.value), told)


def _best_baseline(report: Report, metric: str) -> Markup:
    found = [(item.name, find_metric(item.scores, metric)) for item in report.baselines]
    valued = [(one.value, name) for name, one in found if one is not None and one.value is not None]
    if not valued:
        return _pair(DASH, why_absent(report, "baseline"))
    value, name = max(valued)
    return _pair(number(value), name)


def _quantized(report: Report, metric: str) -> Markup:
    found = find_metric(report.quantized, metric)
    if found is None or found.value is None:
        return _pair(DASH, why_absent(report, "verify"))
    file = next((item for item in report.files if item.bits_per_weight), None)
    parts = [size(file.bytes)] if file else []
    if report.agreement is not None:
        parts.append(f"{percent(report.agreement)} agreement")
    return _pair(number(found.value), ", ".join(parts))


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


def acceptance(report: Report) -> Markup:
    """Every check of the gate: got, interval, required."""
    lead = (
        "The shaded stretch is what the recipe accepts, the line at its end the bound, the dot "
        "what was measured, the whisker its interval."
    )
    if report.gate is None:
        told = [absent(why_absent(report, "gate")), _power(report)]
        return section("acceptance", "Acceptance", *told)
    told = [check_table(report.gate, "Checks on the tuned model"), methods(report.gate.checks)]
    return section("acceptance", "Acceptance", *told, _power(report), lead=lead)


def _power(report: Report) -> Markup:
    """What the holdout can show; nothing where nothing was gated."""
    if not report.power:
        return Markup("")
    items = (tag("li", prose(sentence)) for sentence in report.power)
    return join([tag("h3", "What the holdout can show"), tag("ul", *items, class_="fine")])


def check_table(verdict: Verdict, caption: str) -> Markup:
    """The checks as a table that becomes a list of cards on a narrow page."""
    names = ("check", "got", "", "required", "rows", "answer")
    heads = join(tag("th", name, scope="col", role="columnheader") for name in names)
    axis = score_axis(verdict.checks)
    rows = join(_check_row(check, axis) for check in verdict.checks)
    return tag(
        "table",
        heading(caption),
        tag("thead", tag("tr", heads, role="row"), role="rowgroup"),
        tag("tbody", rows, role="rowgroup"),
        class_="checks",
        role="table",
    )


def _check_row(check: Check, scores: Axis) -> Markup:
    signed = is_difference(check)
    axis = difference_axis(check) if signed or check.direction == "max" else scores
    ends = tag("span", tag("span", _end(axis.low)), tag("span", _end(axis.high)), class_="ends")
    track = tag("div", interval_track(check, axis), ends, class_="track")
    value = tag("span", number(check.got, signed=signed), class_="value")
    bounds = spread(check.interval, signed=signed)
    tested = [tag("br"), muted(p_value(check.p_value))] if check.p_value is not None else []
    note = tag("span", prose(check.note), class_="note") if check.note else ""
    return tag(
        "tr",
        tag("th", code(check_title(check.name)), note, scope="row", role="rowheader"),
        tag("td", value, " ", bounds, class_="got", role="cell"),
        tag("td", track, class_="drawn", role="cell"),
        tag("td", required(check), *tested, class_="required", role="cell"),
        tag("td", count(check.n), class_="rows", role="cell"),
        tag("td", badge(check.status), class_="status", role="cell"),
        role="row",
    )


def _end(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-", MINUS) or "0"


def methods(checks: Sequence[Check]) -> Markup:
    """How the intervals were computed, once for all checks."""
    intervals = [check.interval for check in checks if check.interval]
    if not intervals:
        return Markup("")
    told = sorted({_method(item) for item in intervals})
    return tag("p", "Intervals: " + "; ".join(told) + ".", class_="fine")


def _method(item: Interval) -> str:
    return f"{percent(item.confidence)}, {item.method}"
