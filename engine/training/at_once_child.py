"""The process of trainings among several at once: `engine.training.at_once_child PROCESSORS`.

It reads an order for each, and writes progress as JSON lines. PROCESSORS are those that it keeps to; empty for all.
Orders come through a pipe from the process that started this one, and from nowhere else; it ends with them. Asked to
end, it has a training save a checkpoint, as the run's own process does.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO

from engine.environment import tool_versions
from engine.failures import as_engine_error
from engine.process import interrupts
from engine.progress import note_waiting
from engine.store import DamagedError, Store
from engine.training.at_once import as_event
from engine.values import Value, replace


class LineProgress(Value, kw_only=False):
    """Progress as JSON lines."""

    stream: IO[str]

    def update(self, done: int, total: int, unit: str, **_: str) -> None:
        self.write({"update": [done, total, unit]})

    def note(self, text: str) -> None:
        self.write({"note": text})

    def measured(
        self, step: int, steps: int, numbers: Mapping[str, float], *, of: str = ""
    ) -> None:
        self.write({"measured": [step, steps, numbers, of]})

    def write(self, event: object) -> None:
        self.stream.write(json.dumps(event) + "\n")
        self.stream.flush()


def main() -> None:
    # Before any thread is started.
    if sys.platform == "linux" and sys.argv[1]:
        os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
    # what libraries print goes to the log; only events go to the other process
    progress = LineProgress(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    code = 0
    try:
        with interrupts.handled():
            while order := sys.stdin.buffer.readline():
                if not _is_done(order, progress):
                    break
    except KeyboardInterrupt as asked:
        code = 128 + interrupts.number_of(asked)
    # Results are in the store, and somebody waits: Python would take its libraries apart first.
    sys.stderr.flush()
    os._exit(code)


def _is_done(order: bytes, progress: LineProgress) -> bool:
    cwd, root, call, sent = pickle.loads(base64.b64decode(order))
    os.chdir(cwd)
    store = Store(Path(root), versions=tool_versions())
    cached = partial(store.cached, waits=partial(note_waiting, progress))
    context = replace(sent, cached=cached, scratch_for=store.scratch_for, progress=progress)
    try:
        call(context)
    except Exception as error:
        known = as_engine_error(error, store.root)
        if known is None:
            raise
        # Left in its place, it would end every further run in the same way.
        if isinstance(error, DamagedError):
            store.set_aside(error.artifact.key)
        progress.write(as_event(known))
        return False
    progress.write({"done": True})
    return True


if __name__ == "__main__":
    main()
