"""Several trainings of one recipe: settings of a sweep, seeds, parts of the rows, and folds."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import (
    CurvePoint,
    Fit,
    LearningCurve,
    Report,
    Scores,
    Seeds,
    SweepResult,
    SweepSetting,
)
from engine.recipe.methods import ADAPTER_KEYS
from engine.recipe.sweeps import setting_words, value_words
from engine.render import blocks
from engine.render.blocks import nice_range
from engine.render.labels import (
    checks_of,
    class_words,
    estimate,
    find_metric,
    has_classes,
    main_metric,
)
from engine.render.number_format import (
    DASH,
    column_name,
    count,
    duration,
    interval_of,
    is_share,
    metric_text,
    millions,
    number,
    percent,
    prose_name,
    value_of,
)
from engine.render.report.sections import report_section

_MODELS = {"tfidf_svm": "SVM on TF-IDF", "tuned": "tuned model"}
_AVERAGES = {"macro_f1": "macro average", "field_f1": "all values"}
"""What the first row is called where the others are F1 by label or field."""
_MANY_ROWS = 12
_CURVE_LEAD = (
    "The same model trained on parts of the rows and judged on the same other rows, never on "
    "the holdout. A curve that still rises says that more examples would pay."
)


@report_section("learning", at=120)
def learning(report: Report) -> blocks.Section | None:
    curves, folds, metric = report.learning_curves, report.folds, main_metric(report)
    if not (curves or folds):
        return None
    parts = [block for curve in curves for block in _curve(curve, metric)]
    parts += _folds(report, folds) if folds else []
    # the tuned model's curve says more of the recipe than the SVM's
    chosen = [curve for curve in curves if curve.model == "tuned"] or curves
    lines = tuple(learning_lines(chosen, folds=folds, metric=metric))
    lead, shown = _CURVE_LEAD if curves else "", tuple(parts)
    # A model that has not learned the rows it has is no reason to ask for more of them.
    is_underfitted = report.diagnosis is not None and report.diagnosis.fit is Fit.UNDERFITTED
    closing = () if is_underfitted else lines
    return blocks.Section(
        title="How much data", lead=lead, blocks=shown, card=lines, closing=closing
    )


def learning_lines(
    curves: Sequence[LearningCurve], *, folds: Scores | None, metric: str
) -> list[str]:
    lines = [f"learning curve: {curve.message}" for curve in curves]
    return lines + ([_folds_line(folds, metric)] if folds else [])


def _folds_line(folds: Scores, metric: str) -> str:
    value = metric_text(find_metric(folds, metric))
    return (
        f"cross-validation: {prose_name(metric)} {value} on {count(folds.rows)} rows, "
        "each judged by a model that did not see it"
    )


def _curve(curve: LearningCurve, metric: str) -> list[blocks.Block]:
    model = _MODELS.get(curve.model, curve.model)
    message = blocks.sentence(f"{curve.message}.")
    head = blocks.Heading(f"{model}, judged on {curve.judged_on}")
    if not curve.points:
        return [head, message]
    names = (blocks.Code(item.label) for item in curve.points[-1].scores.classes)
    rows = [[_AVERAGES.get(metric, metric), *_values(curve, metric)]]
    rows += [[name, *_values(curve, f"f1.{name}")] for name in names]
    first = "F1 of" if metric in _AVERAGES else "metric"
    shares = (f"{point.share:.0%}: {count(point.rows)} rows" for point in curve.points)
    caption = f"{first.removesuffix(' of')} of the {model} by training rows"
    layout = "tall" if len(rows) > _MANY_ROWS else "narrow"
    columns = blocks.columns_of(first, *blocks.numbers(shares), ">last gain")
    numbers = blocks.table(caption, columns, rows, layout)
    return [head, message, _chart(curve, metric, model), numbers]


def _values(curve: LearningCurve, name: str) -> list[str]:
    """One metric at every share, and what the last step gained."""
    values = [_value(point, name) for point in curve.points]
    before, after = values[-2:] if len(values) > 1 else (None, None)
    last = DASH
    if after is not None and before is not None:
        last = value_of(name, after - before, signed=True)
    return [*(value_of(name, value) for value in values), last]


def _chart(curve: LearningCurve, metric: str, model: str) -> blocks.LineChart:
    line = blocks.measured_curve((p.share, find_metric(p.scores, metric)) for p in curve.points)
    values = ((f"{p.share:.0%}", value_of(metric, _value(p, metric))) for p in curve.points)
    texts = (f"{share} of the rows {value}" for share, value in values)
    return blocks.LineChart(
        label=f"{metric} of the {model}: {', '.join(texts)}",
        curves=(line,),
        end=1.0,
        span=(0.0, 1.0) if is_share(metric) else nice_range(line.heights),
        ticks=tuple((point.share, f"{point.share:.0%}") for point in curve.points),
        across="training rows",
    )


def _value(point: CurvePoint, name: str) -> float | None:
    metric = find_metric(point.scores, name)
    return metric.value if metric else None


def _folds(report: Report, folds: Scores) -> list[blocks.Block]:
    line = blocks.capital(_folds_line(folds, main_metric(report)) + ".")
    parts: list[blocks.Block] = [blocks.Heading("Cross-validation"), blocks.Paragraph(line)]
    if not has_classes(report):
        return parts
    words = class_words(report)
    found = ((row, find_metric(folds, f"f1.{row.label}")) for row in folds.classes)
    rows = [(blocks.Code(row.label), estimate(f1), count(row.support)) for row, f1 in found]
    columns = f"{words.singular} | >F1 | >{words.support}"
    layout = "tall" if len(rows) > _MANY_ROWS else "narrow"
    caption = f"Every {words.singular} on all {count(folds.rows)} rows"
    return [*parts, blocks.table(caption, columns, rows, layout)]


_MOST_METRICS = 8
_SEEDS_LEAD = (
    "The same recipe trained with other seeds and judged on the same rows. The gate judged the first seed's "
    "model alone; the others show how much of a number is luck."
)


@report_section("seeds", at=110)
def seeds(report: Report) -> blocks.Section | None:
    result = report.seeds
    if result is None:
        return None
    main = main_metric(report)
    measured = [item.metric for item in result.spread if "." not in item.metric]
    names = sorted(measured, key=lambda name: name != main)[:_MOST_METRICS]
    columns = blocks.columns_of("seed | >same answers", *blocks.numbers(map(blocks.Code, names)))
    line = seeds_line(result, main)
    shown = blocks.table("Every seed on the holdout", columns, _rows(result, names), "narrow")
    return blocks.Section(
        title="Seeds", lead=_SEEDS_LEAD, blocks=(blocks.Paragraph(f"{line}."), shown), card=(line,)
    )


def seeds_line(result: Seeds, metric: str) -> str:
    """The noise of one metric in a line: `macro_f1 over 3 seeds (7, 8, 9): mean 0.893, deviation 0.0121, …`."""
    spread = next((item for item in result.spread if item.metric == metric), None)
    names = ", ".join(str(run.seed) for run in result.runs)
    if spread is None:
        return f"seeds {names}: {metric} has no spread"
    mean, low, high = (value_of(metric, value) for value in (spread.mean, spread.low, spread.high))
    noise = f"deviation {spread.deviation:.4f}, from {low} to {high}"
    return f"{metric} over {len(result.runs)} seeds ({names}): mean {mean}, {noise}"


def _rows(result: Seeds, metrics: list[str]) -> list[list[str]]:
    rows = []
    for run in result.runs:
        values = {metric.name: metric.value for metric in run.metrics}
        same = run.agreement.value if run.agreement else None
        agreed = DASH if same is None else percent(same)
        shown = (value_of(name, values.get(name)) for name in metrics)
        rows.append([str(run.seed), agreed, *shown])
    spread = {item.metric: item for item in result.spread}
    rows.append(["mean", "", *(value_of(name, spread[name].mean) for name in metrics)])
    rows.append(["deviation", "", *(f"{spread[name].deviation:.4f}" for name in metrics)])
    return rows


_LEAD = (
    "Each setting was trained on the same training rows and evaluated on the same validation rows, and the best one "
    "became the model. The best of several looks better on the rows that chose it than it is; only that one is "
    "evaluated on the holdout. The intervals of how far the others are behind hold for all of them together."
)


@report_section("sweep", at=80)
def sweep(report: Report) -> blocks.Section | None:
    result = report.sweep
    if result is None:
        return None
    keys = list(dict.fromkeys(key for item in result.settings for key in item.values))
    columns = blocks.columns_of(
        *blocks.numbers(map(blocks.Code, keys)),
        f">{column_name(result.metric)} on validation | >behind the best | >validation loss",
        ">trainable | >steps | >time | ",
    )
    rows = []
    for at, item in enumerate(result.settings):
        values = (value_words(item.values[key]) if key in item.values else DASH for key in keys)
        rows.append([*values, *_cells(item, is_chosen=at == result.chosen)])
    sentences = map(blocks.sentence, sweep_sentences(report, result))
    shown = blocks.table("Every setting on the validation rows", columns, rows, "narrow")
    return blocks.Section(
        title="Sweep", lead=_LEAD, blocks=(*sentences, shown), card=(choice_line(result),)
    )


def _cells(item: SweepSetting, *, is_chosen: bool) -> list[str]:
    behind, distance = item.behind, DASH
    if behind is not None and behind.value is not None:
        ends = interval_of(behind.name, behind.interval, signed=True)
        distance = f"{value_of(behind.name, behind.value)} {ends}".rstrip()
    return [
        metric_text(item.metric),
        distance,
        number(item.validation_loss) if item.validation_loss is not None else DASH,
        millions(item.trainable_parameters) if item.trainable_parameters is not None else DASH,
        count(item.steps) if item.steps is not None else DASH,
        duration(item.seconds) if item.seconds is not None else DASH,
        "chosen" if is_chosen else _remark(item),
    ]


def _remark(item: SweepSetting) -> str:
    if item.metric.value is None:
        return item.metric.undefined
    return "may be as good" if item.may_be_as_good else ""


def sweep_sentences(report: Report, result: SweepResult) -> list[str]:
    """Which setting was chosen, how sure that is, what else that choice touches, and how to keep it."""
    lines = [f"{choice_line(result)}."]
    if any(check.kind == "overfitting" for check in checks_of(report.gate)):
        lines.append(
            "The overfitting gap is measured to the rows that chose the setting, so it is a little too small."
        )
    if any(curve.model == "tuned" for curve in report.learning_curves):
        lines.append(
            "The last point of the tuned model's learning curve is a little too good: that model was chosen on these "
            "rows, those of the points before it were not."
        )
    kept = ", ".join(f"{key}: {value_words(value)}" for key, value in result.winner.values.items())
    is_full = result.winner.values.get("kind") == "full"
    adapter = f", and the method's keys of an adapter: {', '.join(ADAPTER_KEYS)}" if is_full else ""
    return [*lines, f"To keep it, write {kept} into the method and delete the sweep{adapter}."]


def choice_line(result: SweepResult) -> str:
    best = value_of(result.metric, result.winner.metric.value)
    chosen = (
        f"chosen of {len(result.settings)} settings by {prose_name(result.metric)} {best} on {count(result.rows)} "
        f"validation rows: {setting_words(result.winner.values)}"
    )
    return f"{chosen}; {_certainty(result)}"


def _certainty(result: SweepResult) -> str:
    equal = sum(item.may_be_as_good for item in result.settings)
    lost = sum(item.metric.value is None for item in result.settings)
    others = len(result.settings) - 1 - lost
    failed = f"; {lost} left no model that could be judged" if lost else ""
    if not others:
        return "no other one left a model that could be judged"
    if not equal:
        return f"these rows tell it from every other one{failed}"
    if equal == others:
        return f"these rows tell no other one from it{failed}"
    return f"these rows do not tell {equal} of the {others} others from it{failed}"


def sweep_lines(result: SweepResult) -> list[str]:
    lines = [choice_line(result)]
    for at, item in enumerate(result.settings):
        mark, remark = ("*", "") if at == result.chosen else (" ", _remark(item))
        shown = f"{setting_words(item.values)}: {metric_text(item.metric)}"
        lines.append(f"{mark} {shown} {remark}".rstrip())
    return lines
