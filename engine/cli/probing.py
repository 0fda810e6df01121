"""`recipe plan --probe`: two real training steps before the plan is shown."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from engine.cli.confinement import Needs, confine_run
from engine.errors import Problem, RecipeError
from engine.pipeline.preflight import refuse_moving, refuse_outside
from engine.recipe.model import Recipe


def run_probe(
    options: argparse.Namespace, recipe: Recipe, warnings: Sequence[Problem], *, root: Path
) -> None:
    """Run two training steps on this machine, confined. RecipeError R042 for another machine."""
    if options.device:
        raise RecipeError.one(
            "R042",
            f"--probe runs on this machine, not on `{options.device}`",
            hint="leave out --device, or run the command there",
        )
    from engine.cli.streams import others_to  # only trial steps run something
    from engine.cli.watch import Console
    from engine.estimate.probe import probe

    refuse_outside(recipe, warnings)
    refuse_moving(recipe, warnings)
    # The prices are read afterwards, by the same process.
    confine_run(options, recipe, root, Needs(reads=[options.prices] if options.prices else []))
    log = root / "logs" / f"probe-{os.getpid()}.log"
    with others_to(log) as terminal:
        probe(recipe, root=root, watcher=Console(terminal, quiet=False))
