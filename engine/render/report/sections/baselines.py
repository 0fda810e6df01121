"""Against what else there is: the baselines and their numbers, and the paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Comparison, Report
from engine.render import blocks
from engine.render.axes import around
from engine.render.labels import (
    ComparedModel,
    absent,
    best_baseline,
    checks_of,
    compared_models,
    estimate,
    find_metric,
    main_metric,
)
from engine.render.metric_format import (
    column_name,
    interval_of,
    kind_of,
    lower_note,
    short_list,
    threshold_of,
    value_of,
)
from engine.render.number_format import DASH, count, duration, p_values, size
from engine.render.report.sections import report_section

_LEAD = (
    "What the same holdout rows give without fine-tuning. A tuned model has to be worth its "
    "cost against the best of these."
)
_PAIRED = (
    "Both models on the same rows, paired. A positive difference means that the tuned model is "
    "better, also where less of the metric is better."
)
_HOLM = (
    "After Holm: corrected for the number of tests, so that a false difference among all of them "
    "is as rare as it would be in one."
)
_PREVIOUS = "previous"
"""The name of the last accepted model, of which no gain is asked."""
_TONES = {"better": "pass", "worse": "fail"}


@report_section("baselines", at=30)
def baselines(report: Report) -> blocks.Section:
    """Baselines and the tuned model side by side on the same holdout rows."""
    models = compared_models(report)
    parts: list[blocks.Block] = [_numbers(report, models) if models else absent(report, "baseline")]
    if metrics := list(dict.fromkeys(item.metric for item in report.comparisons)):
        parts += [blocks.Heading("How much better, row by row"), blocks.Paragraph(_PAIRED, "lead")]
        parts += [block for metric in metrics for block in _comparisons(report, metric)]
    # what is compared without a gain asked for is the kind's own metric, which need not be the report's
    shown = main_metric(report) if main_metric(report) in metrics else "".join(metrics[:1])
    lines = [comparison_line(item) for item in report.comparisons if item.metric == shown]
    return blocks.Section(
        title="Baselines",
        lead=_LEAD if models else "",
        blocks=tuple(parts),
        card=(*_best_baseline(report), *lines),
    )


def _best_baseline(report: Report) -> list[str]:
    metric = main_metric(report)
    best = best_baseline(report.baselines, metric)
    if not (report.holdout and best):
        return []
    shown = f"{best[0]}, {metric} {value_of(metric, best[1].value)}{lower_note(metric)}"
    return [f"best of {len(report.baselines)} baselines without fine-tuning: {shown}"]


def _numbers(report: Report, models: Sequence[ComparedModel]) -> blocks.Table:
    names = short_list(kind_of(report), main_metric(report), [model.scores for model in models])
    passes = {None: DASH, True: "yes", False: "no"}
    rows: list[blocks.Row] = []
    for model in models:
        found = (find_metric(model.scores, name) for name in names)
        values = (estimate(metric) if metric else DASH for metric in found)
        time = duration(model.seconds) if model.seconds is not None else DASH
        weights = size(model.bytes) if model.bytes is not None else DASH
        cells = (model.name, *values, time, weights, passes[model.passes])
        rows.append(blocks.Row(cells=cells, note=model.note))
    columns = blocks.columns_of(
        "model", *blocks.numbers(map(column_name, names)), ">time | >size | >passes"
    )
    caption = f"Side by side on the holdout{lower_note(main_metric(report))}"
    return blocks.table(caption, columns, rows, "stacked")


def _comparisons(report: Report, metric: str) -> list[blocks.Block]:
    """The paired differences in one metric, on one axis."""
    items = [item for item in report.comparisons if item.metric == metric]
    over = (c for c in checks_of(report.gate) if c.name == f"over_baselines.{metric}")
    gain = next((check.bound for check in over), None)
    axis = around([(item.difference, item.interval) for item in items], gain, has_zero=True)
    legend = "the dashed line is no difference"
    if gain is not None:
        legend += f"; the full line is the gain asked for, {threshold_of(metric, gain)}"
    shown = blocks.table(
        f"{metric}: how much better the tuned model is",
        "against | difference:got | p:under | :drawn | rows:rows | so:status",
        (_row(item, axis, gain) for item in items),
        "cards",
        legend=legend,
    )
    return [shown, blocks.Paragraph(_tests(items), "fine")]


def _row(item: Comparison, axis: blocks.Axis, gain: float | None) -> blocks.Row:
    result = claim(item)
    tone = _TONES.get(result, "inconclusive")
    track = blocks.Track(
        label=comparison_line(item),
        axis=axis,
        value=item.difference,
        interval=item.interval,
        threshold=None if item.name == _PREVIOUS else gain,
        zero="zero",
        tone=tone,
    )
    cells = (
        blocks.Code(_name(item)),
        _difference(item),
        _p_values(item),
        track,
        count(item.n),
        blocks.Badge(result, tone),
    )
    return blocks.Row(cells=cells, note=item.note if item.difference is not None else "")


def comparison_line(item: Comparison) -> str:
    """The comparison in one line."""
    return f"against {_name(item)}: {item.metric} {_difference(item)}, {_p_values(item)}: {claim(item)}"


def claim(item: Comparison) -> str:
    """What follows: `better`, `worse`, `no difference shown`, or why neither can be shown.

    Better or worse takes both the interval clear of zero and the corrected p below its rest.
    """
    if item.difference is None:
        return f"not computed: {item.note}" if item.note else "not computed"
    if item.interval is None:
        return "not tested"
    p = item.p_adjusted if item.p_adjusted is not None else item.p_value
    is_rare = p is None or p <= 1 - item.interval.confidence
    if is_rare and item.interval.low > 0:
        return "better"
    return "worse" if is_rare and item.interval.high < 0 else "no difference shown"


def _tests(items: Sequence[Comparison]) -> str:
    """Which tests gave the p-values, and how they were corrected."""
    names = ", ".join(sorted({item.test for item in items} - {""}))
    tests = f"Tests: {names}." if names else "No test was made."
    return tests if all(item.p_adjusted is None for item in items) else f"{tests} {_HOLM}"


def _name(item: Comparison) -> str:
    return "last accepted model" if item.name == _PREVIOUS else item.name


def _difference(item: Comparison) -> blocks.Estimate:
    value = value_of(item.metric, item.difference, signed=True)
    return blocks.Estimate(value, interval_of(item.metric, item.interval, signed=True))


def _p_values(item: Comparison) -> str:
    return p_values(item.p_value, item.p_adjusted) or DASH
