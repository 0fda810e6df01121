"""Several trainings of one recipe: settings of a sweep, seeds, parts of the rows, and folds."""

from collections.abc import Sequence

from engine.evidence import (
    Fit,
    LearningCurve,
    Report,
    Scores,
    Seeds,
    SweepResult,
    SweepSetting,
    find_metric,
)
from engine.recipe.methods import ADAPTER_KEYS
from engine.recipe.sweeps import setting_words, value_words
from engine.render import blocks
from engine.render import number_format as write
from engine.render.blocks import nice_range
from engine.render.label_tables import (
    checks_of,
    class_words,
    estimate,
    has_classes,
    main_metric,
)
from engine.render.report.sections import Parts

_MODELS = {"tfidf_svm": "SVM on TF-IDF", "tuned": "tuned model"}
_AVERAGES = {"macro_f1": "macro average", "field_f1": "all values"}
"""What the first row is called where the others are F1 by label or field."""
_MANY_ROWS = 12


def learning(report: Report) -> Parts:
    curves, folds, metric = report.learning_curves, report.folds, main_metric(report)
    if curves:
        words = (
            "The same model trained on parts of the rows and judged on the same other rows, never on "
            "the holdout. A curve that still rises says that more examples would pay."
        )
        yield "lead", words
    for curve in curves:
        yield from _curve(curve, metric)
    # the tuned model's curve says more of the recipe than the SVM's
    chosen = [curve for curve in curves if curve.model == "tuned"] or curves
    lines = learning_lines(chosen, folds=folds, metric=metric)
    if folds:
        yield blocks.Heading("Cross-validation")
        yield blocks.Paragraph(blocks.capital(f"{lines[-1]}."))
    if folds and has_classes(report):
        named, rows = class_words(report), list[tuple[blocks.Cell, ...]]()
        for row in folds.classes:
            f1 = estimate(find_metric(folds, f"f1.{row.label}"))
            rows.append((blocks.Code(row.label), f1, write.count(row.support)))
        columns = f"{named['singular']} | >F1 | >{named['support']}"
        caption = f"Every {named['singular']} on all {write.count(folds.rows)} rows"
        layout = "tall" if len(rows) > _MANY_ROWS else "narrow"
        yield blocks.table(caption, columns, rows, layout)
    # A model that has not learned the rows it has is no reason to ask for more of them.
    is_underfitted = report.diagnosis is not None and report.diagnosis.fit is Fit.UNDERFITTED
    for line in lines:
        yield "card", line
        if not is_underfitted:
            yield "closing", line


def learning_lines(
    curves: Sequence[LearningCurve], *, folds: Scores | None, metric: str
) -> list[str]:
    lines = [f"learning curve: {curve.message}" for curve in curves]
    if folds:
        value = write.metric_text(find_metric(folds, metric))
        judged = f"on {write.count(folds.rows)} rows, each judged by a model that did not see it"
        lines.append(f"cross-validation: {write.prose_name(metric)} {value} {judged}")
    return lines


def _curve(curve: LearningCurve, metric: str) -> Parts:
    model, points = _MODELS.get(curve.model, curve.model), curve.points
    yield blocks.Heading(f"{model}, judged on {curve.judged_on}")
    yield blocks.sentence(f"{curve.message}.")
    if not points:
        return
    measured = [(point.share, find_metric(point.scores, metric)) for point in points]
    line = blocks.measured_curve(measured)
    texts = (
        f"{share:.0%} of the rows {write.value_of(metric, found.value if found else None)}"
        for share, found in measured
    )
    yield blocks.LineChart(
        label=f"{metric} of the {model}: {', '.join(texts)}",
        curves=(line,),
        end=1.0,
        span=(0.0, 1.0) if write.is_share(metric) else nice_range(line.heights),
        ticks=tuple((point.share, f"{point.share:.0%}") for point in points),
        across="training rows",
    )
    rows = [(_AVERAGES.get(metric, metric), *_values(curve, metric))]
    names = (blocks.Code(item.label) for item in points[-1].scores.classes)
    rows += [(name, *_values(curve, f"f1.{name}")) for name in names]
    shares = (f"{point.share:.0%}: {write.count(point.rows)} rows" for point in points)
    first, columns = ("F1", "F1 of") if metric in _AVERAGES else ("metric", "metric")
    yield blocks.table(
        f"{first} of the {model} by training rows",
        (columns, *blocks.numbers(shares), ">last gain"),
        rows,
        "tall" if len(rows) > _MANY_ROWS else "narrow",
    )


def _values(curve: LearningCurve, name: str) -> list[str]:
    """One metric at every share, and what the last step gained."""
    found = [find_metric(point.scores, name) for point in curve.points]
    values = [metric.value if metric else None for metric in found]
    before, after = values[-2:] if len(values) > 1 else (None, None)
    last = write.DASH
    if after is not None and before is not None:
        last = write.value_of(name, after - before, signed=True)
    return [*(write.value_of(name, value) for value in values), last]


_MOST_METRICS = 8


def seeds(report: Report) -> Parts:
    result = report.seeds
    if result is None:
        return
    main = main_metric(report)
    line = seeds_line(result, main)
    yield "card", line
    yield blocks.Paragraph(f"{line}.")
    measured = (item.metric for item in result.spread if "." not in item.metric)
    names = sorted(measured, key=lambda name: name != main)[:_MOST_METRICS]
    # one row a seed, then mean and deviation
    rows = []
    for run in result.runs:
        values = {metric.name: metric.value for metric in run.metrics}
        same = run.agreement.value if run.agreement else None
        shown = (write.value_of(name, values.get(name)) for name in names)
        rows.append((str(run.seed), write.known(same, write.percent), *shown))
    spread = {item.metric: item for item in result.spread}
    rows.append(("mean", "", *(write.value_of(name, spread[name].mean) for name in names)))
    rows.append(("deviation", "", *(f"{spread[name].deviation:.4f}" for name in names)))
    columns = ("seed | >same answers", *blocks.numbers(map(blocks.Code, names)))
    yield blocks.table("Every seed on the holdout", columns, rows, "narrow")


def seeds_line(result: Seeds, metric: str) -> str:
    """The noise of one metric in a line: `macro_f1 over 3 seeds (7, 8, 9): mean 0.893, deviation 0.0121, …`."""
    spread = next((item for item in result.spread if item.metric == metric), None)
    names = ", ".join(str(run.seed) for run in result.runs)
    if spread is None:
        return f"seeds {names}: {metric} has no spread"
    mean, low, high = (
        write.value_of(metric, value) for value in (spread.mean, spread.low, spread.high)
    )
    noise = f"deviation {spread.deviation:.4f}, from {low} to {high}"
    return f"{metric} over {len(result.runs)} seeds ({names}): mean {mean}, {noise}"


def sweep(report: Report) -> Parts:
    result = report.sweep
    if result is None:
        return
    yield "card", choice_line(result)
    yield from map(blocks.sentence, sweep_sentences(report, result))
    keys = list(dict.fromkeys(key for item in result.settings for key in item.values))
    rows = []
    for at, item in enumerate(result.settings):
        behind, distance = item.behind, write.DASH
        if behind is not None and behind.value is not None:
            ends = write.interval_of(behind.name, behind.interval, signed=True)
            distance = f"{write.value_of(behind.name, behind.value)} {ends}".rstrip()
        rows.append(
            (
                *(
                    value_words(item.values[key]) if key in item.values else write.DASH
                    for key in keys
                ),
                write.metric_text(item.metric),
                distance,
                write.known(item.validation_loss, write.number),
                write.known(item.trainable_parameters, write.millions),
                write.known(item.steps, write.count),
                write.known(item.seconds, write.duration),
                "chosen" if at == result.chosen else _remark(item),
            )
        )
    columns = (
        *blocks.numbers(map(blocks.Code, keys)),
        f">{write.column_name(result.metric)} on validation | >behind the best | >validation loss",
        ">trainable | >steps | >time | ",
    )
    yield blocks.table("Every setting on the validation rows", columns, rows, "narrow")


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
    """The setting that was chosen, and how many of the others the rows do not tell from it."""
    best = write.value_of(result.metric, result.winner.metric.value)
    chosen = (
        f"chosen of {len(result.settings)} settings by {write.prose_name(result.metric)} {best} on "
        f"{write.count(result.rows)} validation rows: {setting_words(result.winner.values)}"
    )
    equal = sum(item.may_be_as_good for item in result.settings)
    lost = sum(item.metric.value is None for item in result.settings)
    others = len(result.settings) - 1 - lost
    failed = f"; {lost} left no model that could be judged" if lost else ""
    if not others:
        return f"{chosen}; no other one left a model that could be judged"
    if not equal:
        return f"{chosen}; these rows tell it from every other one{failed}"
    if equal == others:
        return f"{chosen}; these rows tell no other one from it{failed}"
    return f"{chosen}; these rows do not tell {equal} of the {others} others from it{failed}"


def sweep_lines(result: SweepResult) -> list[str]:
    """What the terminal says when the sweep is done: the choice, then a line for each setting."""
    lines = [choice_line(result)]
    for at, item in enumerate(result.settings):
        mark, remark = ("*", "") if at == result.chosen else (" ", _remark(item))
        shown = f"{setting_words(item.values)}: {write.metric_text(item.metric)}"
        lines.append(f"{mark} {shown} {remark}".rstrip())
    return lines
