"""The files of a launch folder, and the working folder that a training process sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

OUTPUT = "output"
EVENTS = "events.jsonl"
CONFIG = "config.yaml"
LAUNCH = "launch.yaml"
"""The config of one of several processes."""
BASE_MODEL = "base_model"
TARGETS = "targets"
"""The soft targets of the rows, where they are learned."""
ROWS = ("train.jsonl", "validation.jsonl")


def lay_out(
    folder: Path, launch: Path, folders: tuple[str, ...], *, events: Sequence[str] = (EVENTS,)
) -> None:
    """Fill the working folder with links to what the config names, so that libraries find nothing else there."""
    for name in folders:
        (launch / name).mkdir(exist_ok=True)
    for name in events:
        (launch / name).touch()
    names = [CONFIG, *ROWS, BASE_MODEL, *folders, *events]
    names += [name for name in (TARGETS, LAUNCH) if (launch / name).exists()]
    for name in names:
        (folder / name).symlink_to(launch / name)
