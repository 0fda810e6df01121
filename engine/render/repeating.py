"""How a run compares with its lock, and how much of its numbers is luck of the seed: words for every format."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Compared, Report, Reproduction, Seeds
from engine.render.measures import value_of
from engine.render.quantities import DASH, percent

COLUMNS = ("what", "in the lock", "in this run", "")
TESTED = ("metric", "in the lock", "in this run", "difference, 90 %", "margin", "")
SEED_COLUMNS = ("seed", "same answers")
LEAD = (
    "The lock beside the recipe records an accepted run. This is what was the same, and what was not, in the "
    "order in which one thing causes the next."
)
SEEDS_LEAD = (
    "The same recipe trained with other seeds and judged on the same rows. The gate judged the first seed's "
    "model alone; the others show how much of a number is luck."
)


def facts(found: Reproduction) -> list[tuple[str, str]]:
    """What stands between the sentence and the tables, by name."""
    told = [("differs first", found.first_difference)] if found.first_difference else []
    if found.reused:
        told.append(("not recomputed", ", ".join(found.reused)))
    margins = dict.fromkeys(f"{test.metric}: {test.margin_from}" for test in found.equivalence)
    told += [("margin", margin) for margin in margins]
    if found.agreement and found.agreement.value is not None:
        same = round(found.agreement.value * found.agreement.n)
        needed = found.agreement_required
        wanted = f"; {percent(needed)} expected: {found.agreement_from}" if needed else ""
        told.append(("same answers", f"{same} of {found.agreement.n}{wanted}"))
    return told


def compared_rows(found: Reproduction) -> list[list[str]]:
    """Each fact of the lock beside that of the run, by part; equal facts of one part in one row."""
    rows: list[list[str]] = []
    for part in dict.fromkeys(one.part for one in found.compared):
        these = [one for one in found.compared if one.part == part]
        rows += [_row(one) for one in these if not one.equal]
        same = [one for one in these if one.equal]
        rows += [_same(part, same)] if same else []
    return rows


def _row(one: Compared) -> list[str]:
    name = one.name if one.name == one.part else f"{one.part}: {one.name}"
    return [name, one.locked, one.found, "differs"]


def _same(part: str, same: Sequence[Compared]) -> list[str]:
    if len(same) == 1:
        (one,) = same
        name = one.name if one.name == part else f"{part}: {one.name}"
        return [name, one.locked, one.found, "equal"]
    return [part, DASH, DASH, f"{len(same)} equal"]


def tested_rows(found: Reproduction) -> list[list[str]]:
    """Each metric that was tested for equivalence."""
    rows = []
    for test in found.equivalence:
        interval = test.interval
        spread = f"[{interval.low:+.3f}, {interval.high:+.3f}]" if interval else DASH
        margin = DASH if test.margin is None else f"±{test.margin:.3f}"
        values = [value_of(test.metric, value) for value in (test.locked, test.found)]
        rows.append(
            [test.metric, *values, spread, margin, "within" if test.holds else "not within"]
        )
    return rows


def closing_line(report: Report) -> str:
    """What the terminal says at the end; empty where there is nothing to compare with."""
    return report.reproduction.summary if report.reproduction else ""


def seed_metrics(seeds: Seeds) -> list[str]:
    """The metrics that every seed's model has, those of single classes left out."""
    return [one.metric for one in seeds.spread if "." not in one.metric]


def seed_rows(seeds: Seeds, metrics: Sequence[str]) -> list[list[str]]:
    """One row a seed, then mean and spread."""
    rows = []
    for run in seeds.runs:
        known = {metric.name: metric.value for metric in run.metrics}
        same = percent(run.agreement.value) if run.agreement and run.agreement.value else DASH
        rows.append([str(run.seed), same, *(value_of(name, known.get(name)) for name in metrics)])
    spread = {one.metric: one for one in seeds.spread}
    rows.append(["mean", "", *(value_of(name, spread[name].mean) for name in metrics)])
    rows.append(["deviation", "", *(f"{spread[name].deviation:.4f}" for name in metrics)])
    return rows


def seeds_line(seeds: Seeds, metric: str) -> str:
    """The noise of one metric in a line: `macro-F1 over 3 seeds: mean 0.893, deviation 0.0121, …`."""
    found = next((one for one in seeds.spread if one.metric == metric), None)
    named = ", ".join(str(run.seed) for run in seeds.runs)
    if found is None:
        return f"seeds {named}: {metric} has no spread"
    low, high = value_of(metric, found.low), value_of(metric, found.high)
    mean = value_of(metric, found.mean)
    told = f"{metric} over {len(seeds.runs)} seeds ({named}): mean {mean}"
    return f"{told}, deviation {found.deviation:.4f}, from {low} to {high}"
