"""Compare a newer base model with the accepted model of a recipe, on the same holdout, paired."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli.confinement import Needs, confine_run
from engine.cli.output import (
    allowed,
    log_file,
    read_recipe,
    show,
    show_problems,
    store_and_warnings,
)
from engine.cli.streams import others_to
from engine.cli.watch import Console
from engine.pipeline.preflight import refuse_outside
from engine.recipe.model import PathRef
from engine.recipe.outside import refuse_typed
from engine.recipe.references import named_model
from engine.render.challenge import challenge_text
from engine.render.progress import columns
from engine.runs.challenge import ChallengeOptions, challenge, challenge_json


def run(options: argparse.Namespace) -> None:
    """Print the verdict; the recipe is not changed."""
    recipe, warnings = read_recipe(options)
    refuse_outside(recipe, warnings)
    newer = named_model(options.base_model, Path.cwd())
    if isinstance(newer, PathRef):
        refuse_typed(newer.path, options.recipe, allowed(options))
    model_options = ChallengeOptions(base_model=newer, train=options.train)
    root, warnings = store_and_warnings(options, warnings)
    show_problems(warnings)
    confine_run(options, recipe, root, Needs(others=(newer,)))
    with others_to(log_file(root, "challenge")) as terminal:
        watcher = Console(terminal, quiet=options.quiet or options.format == "json")
        result = challenge(recipe, model_options, root=root, watcher=watcher)
    if options.format == "json":
        show(challenge_json(result.challenge))
    else:
        file, written = str(options.recipe), str(result.files[0])
        width = columns(sys.stdout)
        show(challenge_text(result.challenge, file=file, written=written, width=width))
