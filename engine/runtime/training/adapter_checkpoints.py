"""Adapters of checkpoints, put aside as they are saved: the trainer deletes all but the last two checkpoints.

Of the steps at which the trainer will save, some are chosen before it starts, evenly; their adapter
files are linked into `adapters/STEP` of the output folder, which costs no room while the checkpoint
is there. Full training has no adapter and leaves nothing.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.files.digests import write_digests

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
MOST = 8
"""Checkpoints of one training that are kept."""
FOLDER = "adapters"


class KeepAdapters(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Links the adapter of each chosen checkpoint aside as soon as it is saved."""

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Keep the adapter that was just saved, if its step is one of the chosen."""
        step = state.global_step
        if state.is_world_process_zero and step in chosen_steps(
            every=int(args.save_steps), steps=state.max_steps
        ):
            output = Path(args.output_dir)
            keep_adapter(output / f"checkpoint-{step}", output / FOLDER / str(step))


def chosen_steps(*, every: int, steps: int) -> tuple[int, ...]:
    """Return at most `MOST` of the steps that are saved, evenly spread, the last one among them."""
    saved = [*range(every, steps, every), steps]
    count = min(MOST, len(saved))
    if count == 1:
        return (saved[-1],)
    return tuple(saved[round(place * (len(saved) - 1) / (count - 1))] for place in range(count))


def keep_adapter(checkpoint: Path, folder: Path) -> None:
    """Link, or where links are not possible copy, the adapter's files of a checkpoint; write their digests."""
    if any(not (checkpoint / name).is_file() for name in ADAPTER_FILES):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in ADAPTER_FILES:
        target = folder / name
        # A training that goes on from an earlier checkpoint saves this step again.
        target.unlink(missing_ok=True)
        try:
            os.link(checkpoint / name, target)
        except OSError:
            shutil.copyfile(checkpoint / name, target)
    write_digests(folder)
