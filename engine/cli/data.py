"""Show a recipe's data without training: sources, findings, splits, lengths in tokens, and how a row reads."""

from __future__ import annotations

import argparse
import os
import sys

from engine.cli.confinement import confine_run
from engine.cli.output import read_recipe, show, show_json, show_problems, store_and_warnings
from engine.cli.streams import others_to
from engine.cli.watch import Artifacts, Console
from engine.data_view.rows import ViewOptions
from engine.data_view.view import look
from engine.evidence import StageRecord
from engine.pipeline.preflight import refuse_outside
from engine.progress import Progress
from engine.recipe.model import Recipe
from engine.render.data import data_json, data_text
from engine.render.progress import columns, has_colour

NARROWEST = 60
"""Columns below which lines are left to the terminal to wrap."""


def run(options: argparse.Namespace) -> int:
    """Print what is known of the data; 0 when a run would accept it."""
    recipe, warnings = read_recipe(options)
    refuse_outside(recipe, warnings)
    given = options.examples
    wish = ViewOptions(
        examples=given if given is not None else 10 if options.label else 1,
        label=options.label,
        row=options.row,
        tokens=not options.no_tokens,
    )
    root, warnings = store_and_warnings(options, warnings)
    confine_run(options, recipe, root)
    log = root / "logs" / f"data-{os.getpid()}.log"
    as_json = options.format == "json"
    with others_to(log) as terminal:
        live = _Live(terminal, quiet=False)
        looked = look(recipe, wish, root=root, watcher=live)
        live.close()
    if as_json:
        show_json(data_json(looked.view, looked.problems))
        return looked.code
    show_problems(warnings)
    width = max(NARROWEST, columns(sys.stdout))
    show(data_text(looked.view, width=width, colour=has_colour(sys.stdout)))
    # Before the problems, where both streams go to one place.
    sys.stdout.flush()
    show_problems(looked.problems)
    return looked.code


class _Live(Console):
    """Progress while it happens, as that of a run, and no results of stages: the view says what came of it."""

    def stage(self, name: str) -> Progress:
        self.close()
        return super().stage(name)

    def ended(self, record: StageRecord, artifacts: Artifacts, recipe: Recipe) -> None:  # noqa: ARG002
        self.close()
