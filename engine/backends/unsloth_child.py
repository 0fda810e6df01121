"""The first thing of ours in Unsloth's process: `python -I unsloth_child.py CONFIG [CHECKPOINT]`, by Unsloth's Python.

Only this package is taken from beside this file, not what stands around it: there may be other versions
of all libraries there. Unsloth is imported before transformers and TRL, which it changes. Before training begins
SIGTERM ends the process; while it trains, a checkpoint is saved first.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

NAME = "engine"
FOLDER = Path(__file__).resolve().parents[1]


def reach_this_package() -> None:
    """Make this package importable, and nothing else of the folder that it stands in."""
    start = FOLDER / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        NAME, start, submodule_search_locations=[str(FOLDER)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(NAME, str(start))
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


def main(config: str, checkpoint: str | None = None) -> None:
    """Train."""
    reach_this_package()
    from engine.process import interrupts
    from engine.process.installed_packages import read_quickly

    read_quickly()
    from engine.runtime.training import unsloth_sft  # imports Unsloth first

    try:
        unsloth_sft.train(Path(config), Path(checkpoint) if checkpoint else None)
    except interrupts.Interrupted as asked:
        # The checkpoint is written, so nothing is left to do.
        os._exit(128 + asked.number)


if __name__ == "__main__":
    main(*sys.argv[1:])
