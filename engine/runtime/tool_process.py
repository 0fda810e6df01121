"""Other people's programs, run as processes that may die without taking the pipeline along."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from engine.errors import StageError
from engine.process import start as processes
from engine.process.child import HangsError
from engine.process.policies import rights_of
from engine.process.start import Command
from engine.store.store import out_of_room

LAST_LINES = 8
SHOWN_CHARACTERS = 1200
ERROR_BYTES = 65_536
"""Bytes of the end of its error output, whose last lines are shown."""


def run_tool(
    command: Command,
    *,
    code: str,
    tool: str,
    reads: Iterable[Path] = (),
    writes: Iterable[Path] = (),
    on_line: Callable[[str], None] = lambda _line: None,
) -> None:
    """Run a command to its end, handing over its output line by line.

    It runs by the rules of `engine.process.start`, in an empty folder: its arguments name files by absolute
    paths. It is confined to the files and folders that it `reads` and the existing folders that it `writes`.
    StageError `code` with the last lines of its error output when it cannot be started or fails, X800 when it
    hangs. OSError where it fails since the disk is full, or a file as large as this process may write. On any
    exception in between, Ctrl-C among them, it is ended.
    """
    places = [*writes]
    # Errors go to a file: a second pipe that nobody reads would fill up and stop the tool.
    with tempfile.TemporaryFile() as errors, processes.working_folder() as folder:
        try:
            child = processes.start(
                command,
                folder=folder,
                variables=processes.environment(),
                out=processes.PIPE,
                errors=errors,
                rights=rights_of(command, reads=reads, writes=places),
            )
        except OSError as error:
            raise StageError.one(code, f"{tool} cannot be started: {error.strerror}") from error
        with child:
            try:
                for line in child.lines():
                    on_line(line)
            except HangsError as error:
                raise hanging(tool, error) from error
            status = child.wait()
        if status != 0:
            found = failure(code, tool, status=status, errors=errors)
            # While what it has left takes the space. Its own words for it may be cut off: they are in a file, too.
            raise out_of_room(found, *places, folder) or found


def hanging(tool: str, error: HangsError) -> StageError:
    """Return X800 for a tool that hangs."""
    what = f"{tool} {error}; it was ended"
    hint = "run the same command again: what was finished is kept"
    return StageError.one("X800", what, hint=hint)


def failure(code: str, tool: str, *, status: int, errors: IO[bytes]) -> StageError:
    """Return how a tool ended, with the last lines of its error output."""
    errors.seek(max(0, errors.seek(0, 2) - ERROR_BYTES))
    log = errors.read().decode("utf-8", errors="replace")
    lines = [line for line in log.splitlines() if line.strip()]
    end = f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"
    tail = "\n".join(lines[-LAST_LINES:])[-SHOWN_CHARACTERS:]
    return StageError.one(
        code, f"{tool} {end}", hint=f"its last lines were:\n{tail}" if tail else None
    )
