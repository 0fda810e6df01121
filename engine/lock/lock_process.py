"""A separate process that alone writes the lock of a recipe, for a verb that has given up writing in the project.

The folder of a recipe is often the top of a repository: a process that may write there may write its hooks and its
rows. This process writes one file and reads nothing else.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EnvironmentProblem
from engine.files.reading import parse_json, read_text
from engine.files.writing import remove_parts, replace_text

if TYPE_CHECKING:
    from engine.process.child import Child


def main() -> None:
    lock = Path(sys.argv[1])
    remove_parts(lock)
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(answer(lock, parse_json(line)))}\n")
        sys.stdout.flush()


def answer(lock: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request, or number and words of the error."""
    try:
        if "write" in request:
            return {"answer": replace_text(lock, request["write"])}
        return {"answer": read_text(lock)}
    except UnicodeDecodeError:
        return {"failed": [errno.EILSEQ, "not UTF-8"]}
    except OSError as error:
        return {"failed": [error.errno or 5, error.strerror or str(error)]}


if __name__ == "__main__":
    main()


@dataclass(slots=True, kw_only=True)
class LockProcess:
    lock: Path
    child: Child
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, **request: Any) -> Any:
        """Return the text of the lock for `read`, for `write` whether it was written. OSError as of a file."""
        with self._turn:
            try:
                self.child.send(f"{json.dumps(request)}\n")
                line = self.child.line()
            except BrokenPipeError:
                line = ""
        if not line:
            raise OSError(errno.EPIPE, "the process that writes the lock has ended", self.lock.name)
        found = parse_json(line)
        if "answer" in found:
            return found["answer"]
        raise OSError(*found["failed"], self.lock.name)


_begun: dict[Path, LockProcess] = {}


def apart_for(lock: Path) -> LockProcess | None:
    """Return the process that reads and writes this lock; None where this process does."""
    return _begun.get(_absolute(lock))


def begin(lock: Path, held: ExitStack) -> None:
    """Start it; it ends with `held`, and with this process. EnvironmentProblem X867."""
    from engine.process import start as processes  # light verbs start none
    from engine.process.policies import rights_of

    place = _absolute(lock)
    command = processes.module("engine.lock.lock_process")(str(place))
    try:
        child = processes.start(
            command,
            folder=held.enter_context(processes.working_folder()),
            variables=processes.environment(),
            out=processes.PIPE,
            errors=processes.DEVNULL,
            given=processes.PIPE,
            rights=rights_of(command, writes=(place.parent,)),
        )
    except OSError as error:
        raise EnvironmentProblem.one(
            "X867", f"the process that writes the lock cannot be started: {error.strerror}"
        ) from error
    # not by a signal: a confined process may not send one
    held.callback(child.end_input)
    _begun[place] = LockProcess(lock=place, child=child)
    held.callback(_begun.clear)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # as written: resolving would follow a link
