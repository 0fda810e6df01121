"""The settings that were tried, and which became the model."""

from __future__ import annotations

from engine.evidence import Report, SweepResult, SweepSetting
from engine.recipe.methods import ADAPTER_KEYS
from engine.recipe.sweeps import setting_words, value_words
from engine.render import blocks
from engine.render.labels import checks_of
from engine.render.metric_format import column_name, interval_of, metric_text, prose_name, value_of
from engine.render.number_format import DASH, count, duration, millions, number
from engine.render.report.sections import report_section

_LEAD = (
    "Each setting was trained on the same training rows and evaluated on the same validation rows, and the best one "
    "became the model. The best of several looks better on the rows that chose it than it is; only that one is "
    "evaluated on the holdout. The intervals of how far the others are behind hold for all of them together."
)


@report_section("sweep", at=80)
def sweep(report: Report) -> blocks.Section | None:
    """Nothing without a sweep."""
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
    """The setting that was chosen, and how many of the others the rows do not tell from it."""
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
    """What the terminal says when the sweep is done: the choice, then a line for each setting."""
    lines = [choice_line(result)]
    for at, item in enumerate(result.settings):
        mark, remark = ("*", "") if at == result.chosen else (" ", _remark(item))
        shown = f"{setting_words(item.values)}: {metric_text(item.metric)}"
        lines.append(f"{mark} {shown} {remark}".rstrip())
    return lines
