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
TAIL_LINES = 12


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


def tail_of(log: Path, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """Return the last lines of a log that say something; progress bars count as their final state."""
    text = log.read_bytes()[-65536:].decode("utf-8", errors="replace")
    written = (line.rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return tuple([line[:300] for line in written if line.strip()][-lines:])
