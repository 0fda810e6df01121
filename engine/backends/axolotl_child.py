"""The first thing of ours in the Axolotl process: the training program, and a quick end where one is asked for.

`engine.backends.axolotl_child CONFIG`, run by `engine.process.launcher`. Only the standard library is imported here;
Axolotl's own `axolotl.cli.train` is run as a program (what `axolotl train --launcher python` does), so no `.env`
file is loaded. Before training begins SIGTERM ends the process; while it trains,
`engine.runtime.axolotl_plugin` has a checkpoint saved first. With `--wait` behind CONFIG it imports what will be
needed, and begins when it reads a line: nothing that it works with is looked at before (`engine.backends.ahead`).
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from pathlib import Path

from engine.backends.launch_folder import WAITS
from engine.process import interrupts
from engine.process.installed_packages import read_quickly
from engine.process.kept_imports import kept_imports

LIBRARIES = (
    *("engine.runtime.axolotl_plugin", "axolotl.cli.args", "axolotl.cli.checks"),
    *("axolotl.cli.config", "axolotl.common.datasets", "axolotl.core.builders"),
    *("axolotl.train", "transformers.hf_argparser"),
)
"""What training imports, but for the module that is run."""


def main() -> None:
    """Train."""
    read_quickly()
    _, *arguments = sys.argv
    if WAITS in arguments:
        arguments.remove(WAITS)
        _wait()
    sys.argv = ["axolotl.cli.train", *arguments]
    try:
        runpy.run_module("axolotl.cli.train", run_name="__main__", alter_sys=True)
    except interrupts.Interrupted as asked:
        # The checkpoint is written, so nothing is left to do.
        os._exit(128 + asked.number)


def _wait() -> None:
    """Import, and read a line; end where there is none, because it is not needed."""
    with kept_imports():
        for name in LIBRARIES:
            importlib.import_module(name)
    if not sys.stdin.readline():
        os._exit(0)
    # From here on nothing stands on its standard input, as in a process that did not wait.
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)


if __name__ == "__main__":
    main()
