"""The first thing of ours in the Axolotl process: the training program, and a quick end where one is asked for.

`engine.backends.axolotl_child CONFIG`, run by `engine.process.launcher`. Only the standard library is imported here;
Axolotl's own `axolotl.cli.train` is run as a program (what `axolotl train --launcher python` does), so no `.env`
file is loaded. Before training begins SIGTERM ends the process; while it trains,
`engine.runtime.axolotl_plugin` has a checkpoint saved first.
"""

from __future__ import annotations

import gc
import importlib
import os
import runpy
import sys

from engine.process import interrupts
from engine.process.installed_packages import read_quickly

LIBRARIES = (
    *("engine.runtime.axolotl_plugin", "axolotl.cli.args", "axolotl.cli.checks"),
    *("axolotl.cli.config", "axolotl.common.datasets", "axolotl.core.builders"),
    *("axolotl.train", "transformers.hf_argparser"),
)
"""What training imports, but for the module that is run."""


def main() -> None:
    """Train."""
    read_quickly()
    sys.argv[0] = "axolotl.cli.train"
    for name in LIBRARIES:
        importlib.import_module(name)
    # What is imported stays: looking it through takes seconds at the end of the process.
    gc.freeze()
    try:
        runpy.run_module("axolotl.cli.train", run_name="__main__", alter_sys=True)
    except interrupts.Interrupted as asked:
        # The checkpoint is written, so nothing is left to do.
        os._exit(128 + asked.number)


if __name__ == "__main__":
    main()
