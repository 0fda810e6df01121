"""A GGUF file held in memory and asked again and again: `python -m engine.runtime.llama.service GGUF THREADS`.

Each line on standard input is the JSON of an `engine.runtime.llama.client.Request`. On standard output come lines with
the number of rows done, then one with the JSON of its `GgufAnswers`. The first line of all says that the file is
loaded. The process ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import IO, Any

from engine.runtime.llama.engine import Engine
from engine.runtime.llama.worker import answer

READY = {"ready": True}


def serve(engine: Engine, given: IO[str], out: IO[str]) -> None:
    """Answer every line until there are no more."""
    _write(out, READY)
    for line in given:
        _write(out, answer(engine, json.loads(line), partial(_write, out)))


def _write(out: IO[str], value: Any) -> None:
    out.write(f"{json.dumps(value, ensure_ascii=True)}\n")
    out.flush()


def main(gguf: str, threads: int) -> None:
    """Serve standard input; whatever llama.cpp prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Engine(gguf, threads=threads), sys.stdin, out)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
