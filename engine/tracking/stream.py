"""One stream of what happens in a run: JSON lines in the store's logs while it runs, in the run's folder afterwards.

An event holds numbers, names of the recipe and codes: no row, no answer, no message that could cite one, no path.
"""

import contextlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from engine.files import leases
from engine.files.writing import open_new, remove

NAME: Final = "events.jsonl"
BEGUN: Final = "run.begun"
STAGE_BEGUN: Final = "stage.begun"
STAGE_ENDED: Final = "stage.ended"
STEP: Final = "step"
METRICS: Final = "metrics"
CHECK: Final = "check"
VERDICT: Final = "verdict"
FILE: Final = "file"
ENDED: Final = "run.ended"
"""The last one of a run, unless it was killed."""


def live_file(root: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    return root / "logs" / f"run-{stamp}-{os.getpid()}-{secrets.token_hex(4)}.{NAME}"


class EventStream:
    """Appends events to a file. What cannot be written costs the run nothing: `is_whole` says so."""

    def __init__(self, file: Path, *, below: Path) -> None:
        """Open a file that is not there yet; no folder from `below` down to it may be a link."""
        self.file = file
        self.is_whole = True
        self._below = below
        self._stream: BinaryIO | None = None
        try:
            self._stream = open_new(file, below=below)
            # Until the first event stands in it, another run takes one that nobody holds for left over.
            if not leases.hold(self._stream.fileno()):
                self._stream.close()
                self._stream = open_new(file, below=below)
                leases.hold(self._stream.fileno())
        except OSError:
            self.is_whole = False

    def write(self, event: str, **fields: Any) -> None:
        self.append(line_of(event, **fields))

    def append(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(line.encode("utf-8"))
            self._stream.flush()
        except OSError:
            # Half a line may stand there, so nothing is written behind it.
            self.is_whole = False
            self.close()

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()

    def text(self) -> str:
        """Return what was written; what cannot be read back is not whole."""
        try:
            return self.file.read_text(encoding="utf-8")
        except (OSError, ValueError):
            self.is_whole = False
            return ""

    def discard(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            remove(self.file, below=self._below)


def line_of(event: str, **fields: Any) -> str:
    """Return an event with the time, as a line. Fields that are None, and numbers that are none, are left out."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")

    def known(given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: known(value) if isinstance(value, Mapping) else value
            for name, value in given.items()
            if value is not None and not (isinstance(value, float) and not math.isfinite(value))
        }

    return json.dumps({"event": event, "time": time, **known(fields)}, ensure_ascii=False) + "\n"
