"""A GGUF file held by one process of llama.cpp, which is asked again and again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from engine.errors import StageError
from engine.files.reading import parse_json
from engine.process import start as processes
from engine.process.child import Child, HangsError
from engine.process.policies import rights_of
from engine.process.start import module
from engine.progress import Progress
from engine.runtime.llama.client import (
    WORKER,
    GgufAnswers,
    Request,
    from_json,
    report_line,
    require_llama,
)
from engine.runtime.tool_process import failure, hanging
from engine.store.store import out_of_room
from engine.values import to_json

TOOL: Final = "llama.cpp"


@dataclass(slots=True)
class HeldModel:
    """A process that has read a GGUF file."""

    child: Child
    _lines: Iterator[str]
    _errors: IO[bytes]
    _folder: Path

    def ask(self, request: Request, progress: Progress) -> GgufAnswers:
        """Return its answers. StageError X641 when it has ended, X800 when it hangs, OSError for a full disk."""
        asked = json.dumps(to_json(request))
        total = max(len(request.prompts), len(request.learned))
        try:
            self.child.send(f"{asked}\n")
        except OSError as error:
            raise self._failure() from error
        while (line := self.line()).isdigit():
            report_line(line, total, progress)
        return from_json(parse_json(line), request)

    def line(self) -> str:
        """Return its next line. Raises as `ask`."""
        try:
            line = next(self._lines, "")
        except HangsError as error:
            raise hanging(TOOL, error) from error
        if not line:
            raise self._failure()
        return line

    def _failure(self) -> StageError | OSError:
        found = failure("X641", TOOL, status=self.child.kill(), errors=self._errors)
        return out_of_room(found, self._folder) or found


@contextmanager
def held_model(gguf: Path, *, threads: int) -> Iterator[HeldModel]:
    """Yield a process that has read the file, and end it. EnvironmentProblem X640, StageError X641."""
    require_llama()
    command = module(WORKER)("--hold", str(gguf.absolute()), str(threads))
    with tempfile.TemporaryFile() as errors, processes.working_folder() as folder:
        child = processes.start(
            command,
            folder=folder,
            variables=processes.environment(),
            out=processes.PIPE,
            errors=errors,
            given=processes.PIPE,
            rights=rights_of(command, reads=(gguf,), uses_gpu=True),
        )
        with child:
            held = HeldModel(child, child.lines(), errors, folder)
            held.line()  # it says that the file is read
            yield held
