"""List the runs: when, what they came to, the main metric, what leaves, how long they took."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from engine.cli.output import show, show_json
from engine.cli.place import add_format, add_store, store_root
from engine.errors import ExitCode, RecipeError
from engine.recipe.metrics import primary
from engine.store.runs import Runs, read_record


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "recipe", metavar="RECIPE", nargs="?", default="",
        help="a recipe's name, or its file (default: all recipes)",
    )  # fmt: skip
    add_format(parser, "text", "json")
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Print the list, oldest first."""
    runs = Runs(store_root(options.store))
    name = _name(options.recipe)
    known = runs.names()
    if name and name not in known:
        hint = f"recipes with runs: {', '.join(known)}" if known else "recipe run RECIPE makes one"
        raise RecipeError.one("R006", f"there are no runs of `{name}`", hint=hint)
    found = [_told(folder) for one in ([name] if name else known) for folder in runs.of(one)]
    found.sort(key=lambda one: str(one["started"]))
    if options.format == "json":
        show_json({"schema": "runs.v1", "runs": found})
    else:
        show("\n".join(_table(found)) if found else "there are no runs yet: recipe run RECIPE")
    return ExitCode.ACCEPTED


def _name(given: str) -> str:
    path = Path(given)
    if not given or path.suffix not in (".yaml", ".yml") or not path.is_file():
        return given
    from engine.recipe import load_recipe  # noqa: PLC0415 - a name needs no recipe

    return load_recipe(path)[0].name


def _told(folder: Path) -> dict[str, Any]:
    record = read_record(folder)
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        report = {}
    task = report.get("task") or {}
    main = primary(str(task.get("kind", "")), answer_pattern=str(task.get("answer_pattern", "")))
    scores = (report.get("holdout") or report.get("folds") or {}) if report else {}
    metrics = scores.get("metrics", ()) if isinstance(scores, dict) else ()
    found = next((metric for metric in metrics if metric["name"] == main), None)
    packed = [int(file["bytes"]) for file in report.get("files", ()) if file["format"] == "gguf"]
    size = min(packed) if packed else sum(int(file["bytes"]) for file in report.get("files", ()))
    return {
        "recipe": folder.parent.name,
        "run": folder.name,
        "folder": folder.as_posix(),
        "started": record.get("started", ""),
        "seconds": record.get("seconds", 0.0),
        "outcome": record.get("outcome", "unknown"),
        "metric": main if found else None,
        "value": found["value"] if found else None,
        "bytes": size or None,
    }


def _table(found: list[dict[str, Any]]) -> list[str]:
    rows = [("recipe/run", "outcome", "main metric", "size", "took")]
    for one in found:
        value = "" if one["value"] is None else f"{one['metric']} {one['value']:.3f}"
        size = "" if one["bytes"] is None else f"{one['bytes'] / 1e6:.1f} MB"
        took = f"{one['seconds']:,.1f} s"
        rows.append((f"{one['recipe']}/{one['run']}", str(one["outcome"]), value, size, took))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
