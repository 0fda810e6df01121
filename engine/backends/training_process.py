"""The first thing of ours in a process that trains: `child BACKEND CONFIG` with what the backend takes besides.

    axolotl CONFIG                  `axolotl.cli.train` as a program (what `axolotl train --launcher python` does), so
                                    that no `.env` file is loaded
    trl CONFIG DEVICE [CHECKPOINT]  one of several processes, started by `engine.process.rank_group`
    unsloth CONFIG [CHECKPOINT]     by Unsloth's Python, which runs this file: there may be other versions of all
                                    libraries beside this package, so only the package itself is taken from there

Before training begins SIGTERM ends the process; while it trains, a checkpoint is saved first.
"""

import gc
import importlib
import importlib.util
import os
import runpy
import sys
from pathlib import Path

LIBRARIES = (
    *("engine.runtime.axolotl_plugin", "axolotl.cli.args", "axolotl.cli.checks"),
    *("axolotl.cli.config", "axolotl.common.datasets", "axolotl.core.builders"),
    *("axolotl.train", "transformers.hf_argparser"),
)
"""What training with Axolotl imports, but for the module that is run."""


def main() -> None:
    backend, *words = sys.argv[1:]
    if "engine" not in sys.modules:
        # Another Python has started this file: of what lies here only this package is to be reached.
        folder = Path(__file__).resolve().parents[1]
        start = folder / "__init__.py"
        spec = importlib.util.spec_from_file_location(
            "engine", start, submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError("engine", str(start))
        module = importlib.util.module_from_spec(spec)
        sys.modules["engine"] = module
        spec.loader.exec_module(module)
    from engine.process import interrupts
    from engine.process.library_settings import read_once

    read_once()
    names = {"trl": ("engine.runtime.training.sft",), "axolotl": LIBRARIES}
    for name in names.get(backend, ()):
        importlib.import_module(name)
    # What is imported stays: looking it through takes seconds at the end of the process.
    gc.freeze()
    try:
        if backend == "axolotl":
            sys.argv = ["axolotl.cli.train", *words]
            runpy.run_module("axolotl.cli.train", run_name="__main__", alter_sys=True)
        elif backend == "trl":
            sys.modules["engine.runtime.training.sft"].train_rank(*words)
        else:
            from engine.runtime.training import unsloth_sft  # imports Unsloth first

            unsloth_sft.train(*map(Path, words))
    except interrupts.Interrupted as asked:
        # The checkpoint is written, so nothing is left to do.
        os._exit(128 + asked.number)


if __name__ == "__main__":
    main()
