"""Events of a training in a process of its own: `events.jsonl` of its working folder, a file for each further rank."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def scheduled_losses(
    log: Sequence[Mapping[str, Any]], *, every: int, steps: int
) -> tuple[float, ...]:
    """Return the losses of the evaluations at multiples of `every`, and at the last of `steps`; not the one at 0."""
    found: dict[int, float] = {}
    for entry in log:
        step = int(entry.get("step", 0))
        if "eval_loss" in entry and step > 0 and (step % max(every, 1) == 0 or step == steps):
            # The first one of a step counts: training that goes on evaluates once more where its checkpoint was.
            found.setdefault(step, float(entry["eval_loss"]))
    return tuple(found[step] for step in sorted(found))


def evaluations_since_best(losses: Sequence[float]) -> int:
    """Return how many evaluations came after the lowest loss; 0 without any."""
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def event_file(rank: int) -> str:
    return f"events.{rank}.jsonl" if rank else "events.jsonl"


def files_of(ranks: int) -> tuple[str, ...]:
    return tuple(event_file(rank) for rank in range(ranks))


def write_event(event: Mapping[str, Any]) -> None:
    # Opened for each event: whoever watches sees whole lines at once, also when this process is killed.
    with Path(event_file(int(os.environ.get("RANK", "0")))).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(event) + "\n")
