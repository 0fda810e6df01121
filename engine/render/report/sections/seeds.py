"""How much of a number is luck of the seed: the recipe trained with several of them."""

from __future__ import annotations

from engine.evidence import Report, Seeds
from engine.render import blocks
from engine.render.labels import main_metric
from engine.render.metric_format import value_of
from engine.render.number_format import DASH, percent
from engine.render.report.sections import report_section

_MOST_METRICS = 8
_LEAD = (
    "The same recipe trained with other seeds and judged on the same rows. The gate judged the first seed's "
    "model alone; the others show how much of a number is luck."
)


@report_section("seeds", at=110)
def seeds(report: Report) -> blocks.Section | None:
    """Nothing unless the recipe asks for further seeds."""
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
        title="Seeds", lead=_LEAD, blocks=(blocks.Paragraph(f"{line}."), shown), card=(line,)
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
    """One row a seed, then mean and deviation."""
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
