"""List the runs: when, what they came to, the main metric, what leaves, how long they took."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.cli.output import recipe_name, show_result, store_of
from engine.errors import RecipeError, StoreError
from engine.files.reading import parse_json
from engine.kinds import KINDS
from engine.recipe.metrics import primary
from engine.runs.find import size_of
from engine.store.runs import Runs, is_ours, read_file, read_record
from engine.values import decimal

RESULTS = ("baseline", "metric", "value", "tuned", "bytes")
"""What the report of a run may say of it."""


def run(options: argparse.Namespace) -> None:
    runs = Runs(store_of(options))
    name = recipe_name(options.recipe)
    known = runs.names()
    if name and name not in known:
        hint = f"recipes with runs: {', '.join(known)}" if known else "recipe run RECIPE makes one"
        raise RecipeError.one("R006", f"there are no runs of `{name}`", hint=hint)
    found = [_summary(folder) for one in ([name] if name else known) for folder in runs.of(one)]
    found.sort(key=lambda one: str(one["started"]))
    text = "\n".join(_table(found)) if found else "there are no runs yet: recipe run RECIPE"
    show_result(options, {"schema": "runs.v1", "runs": found}, text)


def _summary(folder: Path) -> dict[str, Any]:
    record = read_record(folder)
    ours = is_ours(record)
    # Anybody can write numbers into a report: those of others are not shown among one's own.
    results = _results(folder) if ours else {}
    return {
        "recipe": folder.parent.name,
        "run": folder.name,
        "folder": folder.as_posix(),
        "started": str(record.get("started", "")),
        "seconds": record["seconds"] if ours else 0.0,
        "outcome": str(record.get("outcome", "unknown")),
        "made_here": ours,
        **dict.fromkeys(RESULTS),
        **results,
    }


def _results(folder: Path) -> dict[str, Any]:
    """Return `RESULTS` by the report of a run, without what it does not say.

    The value is that of the exported file, `tuned` that of the tuned model; where nothing is exported both are its. Of
    a baseline where one passed and nothing was trained: the first one, which is the simplest.
    """
    try:
        report = parse_json(read_file(folder, "report.json"))
    except (StoreError, ValueError):
        return {}
    main = report.get("headline") or _usual(report.get("task") or {})
    results: dict[str, Any] = {}
    scores = report.get("holdout") or report.get("folds") or {}
    passed = [one for one in report.get("baselines", ()) if one.get("passes")]
    if passed and report.get("outcome") == "baseline_passes":
        results["baseline"], scores = passed[0]["name"], passed[0]["scores"]
    if (tuned := _value(scores, main)) is not None:
        # the check, which with folds is of all rows
        verify = {one["name"]: one["got"] for one in (report.get("verify") or {}).get("checks", ())}
        value = verify.get(main, _value(report.get("quantized") or scores, main))
        own = {} if "baseline" in results else {"tuned": tuned}
        results |= {"metric": main, "value": value, **own}
    if size := size_of(report)[1]:
        results["bytes"] = size
    return results


def _value(scores: Mapping[str, Any], metric: str) -> float | None:
    return next((one["value"] for one in scores.get("metrics", ()) if one["name"] == metric), None)


def _usual(task: Mapping[str, Any]) -> str:
    """Return the metric of the kind of task; empty for a kind that is not known here."""
    kind, pattern = str(task.get("kind", "")), str(task.get("answer_pattern", ""))
    return primary(kind, answer_pattern=pattern) if kind in KINDS else ""


def _table(found: list[dict[str, Any]]) -> list[str]:
    rows = [("recipe/run", "outcome", "main metric", "size", "took")]
    for one in found:
        value = "" if one["value"] is None else f"{one['metric']} {decimal(one['value'])}"
        value += f" by {one['baseline']}" if one["baseline"] else ""
        # what users get leads
        value += "" if one["tuned"] in (None, one["value"]) else f" (tuned {decimal(one['tuned'])})"
        size = "" if one["bytes"] is None else f"{one['bytes'] / 1e6:.1f} MB"
        took = f"{one['seconds']:,.1f} s"
        outcome = one["outcome"] if one["made_here"] else f"{one['outcome']} (not made here)"
        rows.append((f"{one['recipe']}/{one['run']}", outcome, value, size, took))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([*map(str.ljust, row, widths)] for row in rows)
    return ["  ".join(cells).rstrip() for cells in padded]
