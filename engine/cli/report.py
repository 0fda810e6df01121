"""Show the report of a run, or write it in another form."""

from __future__ import annotations

import argparse
import shutil
import sys
import webbrowser
from pathlib import Path

from engine.cli.output import recipe_name, show, show_json, show_problems, store_of
from engine.errors import Problem, Severity, StoreError
from engine.render.progress import has_colour
from engine.render.report.page import read_json, render_terminal
from engine.render.report.sections.scores import mistake_table
from engine.render.terminal import renderables, terminal_text
from engine.runs import find
from engine.store import Store
from engine.store.runs import is_ours, read_file, read_record, require_ours
from engine.values import to_json

FILES = {"markdown": "report.md", "json": "report.json", "html": "report.html"}
NARROWEST, WIDEST = 60, 140
"""Columns of a report on the terminal."""


def run(options: argparse.Namespace) -> None:
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
        from engine.runs.compare import as_csv, mistakes_of

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
    return find.find_run(store_of(options), recipe_name(reference))


def named_gguf(options: argparse.Namespace) -> Path:
    """The GGUF file that `options.model` means: itself, or what a run exported, every byte compared.

    Raises as `find_run` and `engine.runs.find.exported_gguf`.
    """
    if find.is_model_file(options.model):
        return Path(options.model)
    return find.exported_gguf(find_run(options.model, options))
