"""One of several processes that train a model together with TRL, in its launch folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import yaml

from engine.environment import Device
from engine.process import interrupts
from engine.runtime.training import sft
from engine.runtime.training.event_file import write_event

OUTPUT = Path("output")
TARGETS = Path("targets")


def train(config_file: str, kind: str, checkpoint: str | None) -> None:
    """Train as the config of a rank says, on a device of that kind; events go to the file of this rank."""
    config = yaml.safe_load(Path(config_file).read_text(encoding="utf-8"))
    # Every process has as many threads as one would have: their number can change bits.
    threads = int(os.environ["OMP_NUM_THREADS"])
    device = Device(kind=kind, name="", memory_bytes=0, cores=threads, bf16=False)
    folders = sft.Folders(
        rows=Path(),
        base_model=Path(config["base_model"]),
        output=OUTPUT,
        resume=Path(checkpoint) if checkpoint else None,
        targets=TARGETS if TARGETS.exists() else None,
    )
    sft.train(config, folders, device=device, report=write_event, when_ready=_wait_for_checkpoints)


def _wait_for_checkpoints() -> None:
    # Not earlier: until the trainer is there nothing could be saved, and SIGTERM simply ends the process.
    signal.signal(signal.SIGTERM, lambda number, _frame: interrupts.request(number))
