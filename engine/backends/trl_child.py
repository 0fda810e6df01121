"""The first thing of ours in each of several TRL processes: `engine.backends.trl_child CONFIG DEVICE [CHECKPOINT]`.

One process of the trl backend trains inside of `recipe`; several are started by `engine.process.rank_group`. Before
training begins SIGTERM ends the process; while it trains, a checkpoint is saved first.
"""

from __future__ import annotations

import gc
import os
import sys

from engine.process import interrupts
from engine.process.installed_packages import read_quickly


def main(config: str, device: str, checkpoint: str | None = None) -> None:
    """Train."""
    read_quickly()
    from engine.runtime.training import sft  # brings torch

    # What is imported stays: looking it through takes seconds at the end of the process.
    gc.freeze()
    try:
        sft.train_rank(config, device, checkpoint)
    except interrupts.Interrupted as asked:
        # The checkpoint is written, so nothing is left to do.
        os._exit(128 + asked.number)


if __name__ == "__main__":
    main(*sys.argv[1:])
