"""Start a recipe from the config of another tool: Axolotl, LLaMA-Factory."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli.output import refuse_taken, show
from engine.drafting.draft import wrapped
from engine.drafting.imported import imported, read_config
from engine.recipe.outside import refuse_typed
from engine.recipe.text.layout.edit import create
from engine.recipe.text.paths import as_typed
from engine.render.progress import columns
from engine.trust.access import NOTHING


def run(options: argparse.Namespace) -> None:
    """Write one recipe, never over a file that exists, and name every key that is not in it."""
    target = options.output or Path(f"{options.config.stem}.recipe.yaml")
    refuse_taken(target)
    refuse_typed(options.config, target, NOTHING)
    config = read_config(options.config)
    found = imported(config, target)
    # Not trusted as it stands: what it names comes from the config, which others may have written.
    create(target, found.text.encode())
    width = columns(sys.stdout)
    lines = [
        f"{options.config.name}: {found.tool}, {len(found.taken)} keys taken, {len(found.left_out)} left out"
    ]
    for title, pairs in (
        ("taken", found.taken),
        ("left out", found.left_out),
        ("not stated there: the recipe's own defaults apply", found.unstated),
    ):
        lines += [title] if pairs else []
        first = max(map(len, pairs), default=0)
        for key, what in pairs.items():
            lines += wrapped(f"  {key:<{first}}  {what}", width=width, indent=" " * (first + 4))
    for note in found.notes:
        lines += wrapped(f"note: {note}", width=width, indent="  ")
    typed = as_typed(target)
    lines += [f"wrote {target}", f"next: recipe validate {typed} && recipe data {typed}"]
    show("\n".join(lines))
