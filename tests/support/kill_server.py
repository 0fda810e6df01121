"""A process that runs the command in forked children which die where they are asked to.

One request a line on stdin, one exit status a line on stdout; heavy libraries are imported once,
before the first fork, and no child shares a thread with another.
"""

import gc
import importlib
import json
import os
import signal
import sys
import time
from typing import Any

from engine.artifacts.stage import StageContext
from engine.cli.main import main
from engine.stages import STAGES, load_stage
from engine.values import replace

HEAVY = (
    "sklearn.svm",
    "engine.runtime.models.load",
    "engine.runtime.generation.generate",
    "engine.runtime.models.merge",
    "engine.runtime.rendering.rendered_files",
    "engine.runtime.text.tfidf",
    "engine.runtime.training.sft",
    "engine.estimate.actuals",
    "engine.pipeline.report",
    "engine.runtime.gguf.source_check",
    "mistral_common.tokens.tokenizers.mistral",  # brought by transformers with the first tokenizer
    *(f"engine.stages.{name}" for name in STAGES),
)


class Deadly:
    """Progress that ends the process once `last` units are done."""

    def __init__(self, last: int, number: int) -> None:
        self._last = last
        self._number = number

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        if done >= self._last:
            die(self._number)

    def note(self, text: str) -> None:
        """Say nothing."""


def die(number: int) -> None:
    """End by a signal; those that ask are followed by the process itself, at a moment of its own."""
    os.kill(os.getpid(), number)
    if number == signal.SIGKILL:
        time.sleep(60)


def arm(stage: str, *, after: int | None, number: int) -> None:
    """Let a stage die after so many units, or when its work is done but not yet kept."""
    module: Any = load_stage(stage)
    real = module.run

    def run(context: StageContext) -> None:
        if after is not None:
            real(replace(context, progress=Deadly(after, number)))
        else:
            real(context)
            die(number)

    module.run = run


BETWEEN = {
    "report": ("engine.runs.run", "assemble"),
    "lock": ("engine.lock.writer", "write_lock"),
    "plan": ("engine.pipeline.loop", "plan_run"),
}
"""What runs between the stages, and after them."""


def arm_between(what: str, number: int) -> None:
    """Let the signal come while the report is put together, the lock written or the next stage planned."""
    name, function = BETWEEN[what]
    module: Any = importlib.import_module(name)
    real = getattr(module, function)

    def armed(*given: Any, **named: Any) -> Any:
        setattr(module, function, real)
        die(number)
        return real(*given, **named)

    setattr(module, function, armed)


def child(request: dict[str, Any]) -> int:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["folder"])
    if request["stage"] in BETWEEN:
        arm_between(request["stage"], request["signal"])
    else:
        arm(request["stage"], after=request["after"], number=request["signal"])
    return main(request["words"])


def serve() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()  # a child that collects garbage would copy every page of these libraries
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            code = 99
            try:
                code = child(json.loads(line))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
