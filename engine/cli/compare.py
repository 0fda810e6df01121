"""Compare two finished runs on the same holdout rows: differences with intervals, and each row that turned."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator

from engine.cli.output import show_result, store_of
from engine.cli.report import find_run
from engine.evidence import Comparison
from engine.runs.compare import RunComparison, as_json, compare_runs, read_run, speed_of
from engine.runs.find import size_of
from engine.store import Store
from engine.values import bounds, decimal

MOST = 10
"""Turned rows that are shown."""
WIDEST = 60


def run(options: argparse.Namespace) -> None:
    """Print the comparison; 0 whatever it says."""
    store = Store(store_of(options))
    names = (options.first, options.second)
    first, second = (read_run(find_run(name, options), store) for name in names)
    found = compare_runs(first, second, shared_only=options.shared)
    show_result(options, as_json(found), "\n".join(_lines(found, every=options.all)))


def _lines(found: RunComparison, *, every: bool) -> list[str]:

    first, second = found.first, found.second
    shared = ", the rows that both holdouts have" if found.partial else ""
    lines = [f"{second.name} against {first.name} on {found.rows:,} rows{shared}", ""]
    lines += [_head(found), *_differences(found.comparisons), ""]
    if found.tuned:
        lines += ["  tuned models", *_differences(found.tuned), ""]
    lines.append("more is better for the second run, of every metric")
    for what, run_ in (("first", first), ("second", second)):
        name, size = size_of(run_.report)
        speed = speed_of(run_.report)
        exported = f"{name} {size / 1e6:.1f} MB" if name else "nothing exported"
        lines.append(f"  {what:<7} {exported}" + (f", {speed:.1f} tokens/s" if speed else ""))
    return [*lines, "", *_turned(found, every=every)]


def _differences(comparisons: Iterable[Comparison]) -> Iterator[str]:
    for one in comparisons:
        if one.difference is None:
            continue
        ends = one.interval
        spread = bounds(ends.low, ends.high) if ends else "too few rows"
        p_value = "" if one.p_adjusted is None else f"{one.p_adjusted:.3g} ({one.test})"
        lost = decimal(one.difference, signed=True)
        yield f"  {one.metric:<22}{lost:>11}  {spread:<20}{p_value}".rstrip()


def _head(found: RunComparison) -> str:
    ends = (one.interval for one in found.comparisons if one.interval)
    confidence = next((f"{100 * end.confidence:.3g} % interval" for end in ends), "interval")
    tests = sum(one.p_adjusted is not None for one in found.comparisons)
    p_value = f"p after Holm, {tests} tests" if tests > 1 else "p" if tests else ""
    what = "exported files" if found.of_files else "tuned models"
    return f"  {what:<22}{'difference':>11}  {confidence:<20}{p_value}".rstrip()


def _turned(found: RunComparison, *, every: bool) -> list[str]:
    counts = Counter(one.became for one in found.changed)
    became = f"{counts['right']} became right, {counts['wrong']} wrong"
    other = f"{counts['another wrong one']} another wrong one"
    lines = [f"{len(found.changed):,} rows turned: {became}, and {other}"]
    shown = found.changed if every else found.changed[:MOST]
    for one in shown:
        turn = f"{_cut(one.first)} -> {_cut(one.second)}, right is {_cut(one.target)}"
        lines.append(f"  {one.became:<17} {_cut(one.text or one.id)}  {turn}")
    more = len(found.changed) - len(shown)
    return [*lines, f"  … and {more:,} more: --all"] if more else lines


def _cut(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"`{line[:WIDEST]}…`" if len(line) > WIDEST else f"`{line}`"
