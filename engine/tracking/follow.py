"""The process that follows the events of one run for a tracker: `python -m engine.tracking.follow`.

Standard input holds what it is to do, as one line of JSON: addresses and keys stand in no command line, environment
or file. Its end says that the run is over. It reads the events from their file, so a slow server holds up no run.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from engine.files.reading import parse_json
from engine.tracking import trackers
from engine.tracking.trackers import NAMES, Tracker, facts_of, settings_of

POLL_SECONDS: Final = 0.2
GRACE_SECONDS: Final = 60.0
"""Seconds after the run's end for events that have not been sent yet."""
NOT_SENT: Final = 3
"""The exit code where a client did not end in time."""


def main() -> int:
    """Follow the events until the last one, or until whoever started us has ended."""
    order = parse_json(sys.stdin.readline())
    over = threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    os.environ.update(order["variables"])
    events = _events(Path(order["file"]), over)
    # What a client raises ends this process, and is the last line of its log.
    opened = NAMES[order["kind"]].opened
    tracker: Tracker | None = None
    last: dict[str, Any] = {}
    for last in events:
        if last["event"] == trackers.BEGUN:
            tracker = opened(Path(order["folder"]), order["url"], settings_of(last))
        elif tracker is not None:
            facts = facts_of(last)
            if facts.numbers or facts.texts:
                tracker.take(facts)
    if tracker is not None:
        tracker.end(failed=last.get("outcome", "failed") in ("failed", "interrupted"))
    return 0


def _events(file: Path, over: threading.Event) -> Iterator[dict[str, Any]]:
    """Yield events as they are written: to the last one of the run, or to what is there when the run is over."""
    offset = 0
    while True:
        # Asked before the file is read, so that nothing is missed.
        is_over = over.is_set()
        with contextlib.suppress(OSError), file.open("rb") as opened:
            opened.seek(offset)
            whole, newline, _ = opened.read().rpartition(b"\n")
            offset += len(whole) + len(newline)
            for line in whole.splitlines():
                event = parse_json(line)
                yield event
                if event["event"] == trackers.ENDED:
                    return
        if is_over:
            return
        over.wait(POLL_SECONDS)


def _wait_for_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()
    time.sleep(GRACE_SECONDS)
    os._exit(NOT_SENT)


if __name__ == "__main__":
    sys.exit(main())
