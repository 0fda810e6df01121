"""Finished runs: their list, their reports, two of them compared, and the store that holds them."""

from __future__ import annotations

import argparse
import shutil
import sys
import webbrowser
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.output import recipe_name, show, show_json, show_problems, show_result, store_of
from engine.errors import ExitCode, Problem, RecipeError, Severity, StoreError
from engine.evidence import Comparison
from engine.files.reading import parse_json
from engine.kinds import KINDS
from engine.recipe.metrics import primary
from engine.render.progress_display import has_colour, progress_on_terminal
from engine.render.report.page import read_json, render_terminal
from engine.render.report.sections.scores import mistake_table
from engine.render.terminal import renderables, terminal_text
from engine.runs import stored_run
from engine.runs.check_store import check_store
from engine.runs.stored_run import StoredRun, size_of
from engine.store import Store
from engine.store.records import Runs, is_ours, read_file, read_record, require_ours
from engine.values import bounds, decimal, to_json

if TYPE_CHECKING:
    from engine.runs.run_comparison import RunComparison

RESULTS = ("baseline", "metric", "value", "tuned", "bytes")
"""What the report of a run may say of it."""


def runs(options: argparse.Namespace) -> None:
    kept = Runs(store_of(options))
    name = recipe_name(options.recipe)
    known = kept.names()
    if name and name not in known:
        hint = f"recipes with runs: {', '.join(known)}" if known else "recipe run RECIPE makes one"
        raise RecipeError.one("R006", f"there are no runs of `{name}`", hint=hint)
    found = [_summary(folder) for one in ([name] if name else known) for folder in kept.of(one)]
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
    task = report.get("task") or {}
    kind, pattern = str(task.get("kind", "")), str(task.get("answer_pattern", ""))
    usual = primary(kind, answer_pattern=pattern) if kind in KINDS else ""
    main = report.get("headline") or usual
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


FILES = {"markdown": "report.md", "json": "report.json", "html": "report.html"}
NARROWEST, WIDEST = 60, 140
"""Columns of a report on the terminal."""


def report(options: argparse.Namespace) -> None:
    folder = find_run(options.run, options)
    if options.open:
        # A store may come with somebody else's folder, and a browser does what a page says.
        require_ours(folder, "its page is not opened in a browser")
        page = (folder / FILES["html"]).resolve()
        webbrowser.open(page.as_uri())
        show(f"opened {folder / FILES['html']}")
        return
    if not is_ours(read_record(folder)):
        what = f"`{folder.parent.name}/{folder.name}` was not made here, or by an earlier version"
        message = f"{what}: this is what somebody wrote"
        show_problems([Problem(code="E751", message=message, severity=Severity.WARNING)])
    if options.mistakes or options.format == "csv":
        from engine.runs.run_comparison import as_csv, mistakes_of

        rows = mistakes_of(folder, Store(store_of(options)))
        if options.format == "json":
            show_json(to_json(rows))
        elif options.format == "csv":
            show(as_csv(rows))
        else:
            drawn = renderables(mistake_table(rows))
            show(terminal_text(drawn, width=_width(), colour=has_colour(sys.stdout)))
    elif options.format == "text":
        show(_as_text(folder, options.store or ""))
    else:
        show(read_file(folder, FILES[options.format]).decode("utf-8", "replace"))


def _width() -> int:
    return min(max(shutil.get_terminal_size((100, 24)).columns, NARROWEST), WIDEST)


def _as_text(run: Path, store: str) -> str:
    """The report for this terminal. StoreError E758 where report.json is not one."""
    try:
        report = read_json(read_file(run, FILES["json"]).decode())
    # An older version or another hand may have written it, so any part may be missing or of another
    # type.
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        file = f"{run.parent.name}/{run.name}/{FILES['json']}"
        what = f"`{file}` is no report that this version reads"
        hint = "--format markdown shows the report as it was written"
        raise StoreError.one("E758", f"{what} ({error})", hint=hint) from error
    return render_terminal(report, store=store, width=_width(), colour=has_colour(sys.stdout))


def find_run(reference: str, options: argparse.Namespace) -> Path:
    """The run folder that `reference` means, of a recipe's file the latest of that recipe.

    Raises:
        RecipeError: there is none.
        StoreError: as `store_of`.

    """
    return stored_run.find_run(store_of(options), recipe_name(reference))


def named_gguf(options: argparse.Namespace) -> Path:
    """The GGUF file that `options.model` means: itself, or what a run exported, every byte compared.

    Raises as `find_run` and `engine.runs.stored_run.exported_gguf`.
    """
    if stored_run.is_model_file(options.model):
        return Path(options.model)
    return stored_run.exported_gguf(find_run(options.model, options))


MOST = 10
"""Turned rows that are shown."""
LONGEST = 60
"""Characters of an answer that is shown."""


def compare(options: argparse.Namespace) -> None:
    from engine.runs.run_comparison import as_json, compare_runs  # brings numpy

    place = Store(store_of(options))
    names = (options.first, options.second)
    first, second = (
        StoredRun(find_run(name, options), place, refused="it is not compared") for name in names
    )
    found = compare_runs(first, second, shared_only=options.shared)
    show_result(options, as_json(found), "\n".join(_comparison_lines(found, every=options.all)))


def _comparison_lines(found: RunComparison, *, every: bool) -> list[str]:
    from engine.runs.run_comparison import speed_of

    first, second = found.first, found.second
    shared = ", the rows that both holdouts have" if found.partial else ""
    lines = [f"{second.name} against {first.name} on {found.rows:,} rows{shared}", ""]
    lines += [_head(found), *_differences(found.comparisons), ""]
    if found.tuned:
        lines += ["  tuned models", *_differences(found.tuned), ""]
    lines.append("more is better for the second run, of every metric")
    for what, run_ in (("first", first), ("second", second)):
        report = parse_json(run_.report_text)
        name, size = size_of(report)
        speed = speed_of(report)
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
    return f"`{line[:LONGEST]}…`" if len(line) > LONGEST else f"`{line}`"


def store(options: argparse.Namespace) -> int:
    """Return 0 when every byte is the one that was left, else 1."""
    with progress_on_terminal("verify", sys.stderr) as progress:
        found = check_store(store_of(options), progress)
    lines = [f"damaged  {one.what} {one.name}: {one.why}" for one in found.damaged]
    lines += [f"left     {one.what} {one.name}: {one.why}" for one in found.left_alone]
    read = f"{found.results} results and {found.runs} runs, {found.bytes / 1e6:,.1f} MB read"
    if found.damaged:
        lines.append(f"{read}: {len(found.damaged)} damaged")
        lines.append("a run that needs a damaged result sets it aside and builds it again")
    else:
        lines.append(f"{read}: every byte is the one that was left")
    show_result(options, {"schema": "store-check.v1", **to_json(found)}, "\n".join(lines))
    return ExitCode.REFUSED if found.damaged else ExitCode.ACCEPTED
