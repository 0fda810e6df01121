"""`recipe plan --probe`: two real training steps before the plan is shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from engine.errors import Problem, RecipeError
from engine.pipeline.preflight import refuse_moving, refuse_outside
from engine.recipe.model import Recipe


def run_probe(
    recipe: Recipe, warnings: Sequence[Problem], *, root: Path, elsewhere: str | None
) -> None:
    """Run two training steps on this machine. RecipeError R042 for another one."""
    if elsewhere:
        raise RecipeError.one(
            "R042",
            f"--probe runs on this machine, not on `{elsewhere}`",
            hint="leave out --device, or run the probe there",
        )
    from engine.cli.streams import others_to  # only a probe runs something
    from engine.cli.watch import Console
    from engine.estimate.probe import probe

    refuse_outside(recipe, warnings)
    refuse_moving(recipe, warnings)
    log = root / "logs" / f"probe-{os.getpid()}.log"
    with others_to(log) as terminal:
        probe(recipe, root=root, watcher=Console(terminal, quiet=False))
