"""Other people's programs, run as processes that may die without taking the pipeline along."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import StageError

LAST_LINES = 8
SHOWN_CHARACTERS = 1200


def run_module(
    module: str,
    arguments: Sequence[str],
    *,
    code: str,
    tool: str,
    on_line: Callable[[str], None] = lambda _line: None,
) -> None:
    """Run `python -m module`, as `run_tool`."""
    command = [sys.executable, "-m", module, *arguments]
    run_tool(command, code=code, tool=tool, on_line=on_line)


def run_tool(
    command: Sequence[str],
    *,
    code: str,
    tool: str,
    on_line: Callable[[str], None] = lambda _line: None,
) -> None:
    """Run a command to its end, handing over its output line by line.

    StageError `code` with the last lines of its error output when it cannot be started or fails.
    On any exception in between, Ctrl-C among them, the process is ended first.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module or the user's own llama.cpp
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=_environment(),
            )
        except OSError as error:
            raise StageError.one(code, f"{tool} cannot be started: {error.strerror}") from error
        with process:
            try:
                for line in process.stdout or ():
                    on_line(line.rstrip("\n"))
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            errors.seek(0)
            raise _failure(code, tool, status=process.returncode, log=errors.read())


def _environment() -> dict[str, str]:
    """Offline, this package in reach, and no backtrace behind the line that says what is wrong."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    fixed = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GGML_NO_BACKTRACE": "1"}
    return {**os.environ, **fixed, "PYTHONPATH": path}


def _failure(code: str, tool: str, *, status: int, log: bytes) -> StageError:
    lines = [line for line in log.decode("utf-8", errors="replace").splitlines() if line.strip()]
    end = f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"
    said = "\n".join(lines[-LAST_LINES:])[-SHOWN_CHARACTERS:]
    return StageError.one(
        code, f"{tool} {end}", hint=f"its last lines were:\n{said}" if said else None
    )
