"""What training cost in other things, in words and rows that every format shares."""

from __future__ import annotations

from engine.evidence import Check, ForgettingResult, Metric, ProbeScores, Report
from engine.render.quantities import DASH, amount, count, interval, number, p_value

COLUMNS = ("probes", "kind", "questions", "before", "after", "drop", "interval", "p", "shift")
LEAD = (
    "The same questions, which have nothing to do with the task, before and after training. A "
    "positive drop is a loss. Shift: how much likelier the right answer became, in nats a byte."
)
_KINDS = {"multiple_choice": "multiple choice", "minimal_pairs": "minimal pairs"}


def rows(found: ForgettingResult) -> list[ProbeScores]:
    """Every set of probes, and all together last where there are several."""
    return [*found.probes, found.overall] if len(found.probes) != 1 else [*found.probes]


def is_overall(item: ProbeScores, found: ForgettingResult) -> bool:
    """Tell whether this is the sum of all sets."""
    return item is found.overall


def name_of(item: ProbeScores, found: ForgettingResult) -> str:
    """`all probes` for the sum, else the name of the set."""
    return "all probes" if is_overall(item, found) else item.name


def kind_of(item: ProbeScores) -> str:
    """What is asked, in words."""
    return _KINDS.get(item.kind, item.kind) or DASH


def cells(item: ProbeScores, found: ForgettingResult) -> list[str]:
    """One row under `COLUMNS`."""
    tested = p_value(item.p_value) if item.p_value is not None else DASH
    return [
        name_of(item, found),
        kind_of(item),
        count(item.n),
        share(item.before),
        share(item.after),
        number(item.drop.value, signed=True),
        interval(item.drop.interval, signed=True) or DASH,
        tested,
        amount(item.shift, decimals=3, signed=True) if item.shift is not None else DASH,
    ]


def share(metric: Metric) -> str:
    """The share of questions answered right, or why there is none."""
    if metric.value is None:
        return f"not computed: {metric.undefined}" if metric.undefined else "not computed"
    return number(metric.value)


def sentence(item: ProbeScores, found: ForgettingResult) -> str:
    """One set in one line, for alternative texts and the terminal."""
    spread = interval(item.drop.interval, signed=True)
    told = f"{number(item.drop.value, signed=True)} {spread}".rstrip()
    change = f"{share(item.before)} before, {share(item.after)} after"
    return f"{name_of(item, found)}: {change}, drop {told} on {count(item.n)} questions"


def worst(found: ForgettingResult) -> ProbeScores | None:
    """The set that lost most; None where there is only one."""
    known = [item for item in found.probes if item.drop.value is not None]
    return max(known, key=lambda item: item.drop.value or 0.0) if len(known) > 1 else None


def gate_check(report: Report) -> Check | None:
    """The gate's bound on forgetting, where the recipe has one."""
    checks = report.gate.checks if report.gate else ()
    return next((check for check in checks if check.name == "forgetting"), None)
