"""Show the report of a run, or write it in another form."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from engine.cli.output import show
from engine.cli.place import add_format, add_store, store_root
from engine.errors import ExitCode, RecipeError
from engine.store.runs import Runs

FILES = {"markdown": "report.md", "json": "report.json", "html": "report.html"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "run", metavar="RUN", nargs="?", default="",
        help="a run folder, a recipe's name for its latest run; default: the newest of all",
    )  # fmt: skip
    add_format(parser, *FILES)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Print a report as it was written when the run ended."""
    folder = find_run(options.run, options.store)
    if options.open:
        page = (folder / FILES["html"]).resolve()
        webbrowser.open(page.as_uri())
        show(f"opened {folder / FILES['html']}")
        return ExitCode.ACCEPTED
    show((folder / FILES[options.format]).read_text(encoding="utf-8"))
    return ExitCode.ACCEPTED


def find_run(reference: str, store: str | None) -> Path:
    """The run folder that `reference` means.

    Raises:
        RecipeError: there is none.

    """
    runs = Runs(store_root(store))
    folder = runs.find(reference)
    if folder is None:
        known = ", ".join(runs.names())
        hint = f"recipes with runs: {known}" if known else "recipe run RECIPE makes one"
        what = f"no run is called `{reference}`" if reference else "there are no runs yet"
        raise RecipeError.one("R006", what, hint=hint)
    return folder
