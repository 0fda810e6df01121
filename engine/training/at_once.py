"""Trainings beside the model of the run, several at once, in child processes that leave results in the store.

A child that is done with one takes the next: what it has imported stays. Each has processors of its own: a training
has as many threads as the machine has processors, whose number its bytes depend on, and those of two on the same ones
wait for each other. The stage then goes through them in order, as it does with one at a time, and finds every result:
same keys, same bytes.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from engine import errors
from engine.artifacts.stage import AtOnce, StageContext
from engine.errors import EngineError, Problem, Severity, StageError
from engine.files.reading import parse_json
from engine.files.user import STORE_KEY
from engine.process.child import Child, HangsError
from engine.process.policies import TOOLS
from engine.process.start import PIPE, Command, environment, module, start, working_folder
from engine.progress import MeasuredProgress
from engine.render.progress import SilentProgress
from engine.store import Artifact, StageKey, product_key
from engine.values import Value, replace

CHILD: Final = "engine.training.at_once_child"
NEEDED: Final = (STORE_KEY, "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", *TOOLS)
"""Variables that name the user's own folders, where results are signed with the user's key, and the user's tools."""
TEMPORARY: Final = ("TEMP", "TMP", "TMPDIR")
"""Variables that say where temporary files are."""
STDERR: Final = 2
"""The log of the run."""
GRACE: Final = 30.0
"""Seconds in which a training that is asked to end may write a checkpoint."""


class VariantJob[T](Value):
    """A training and what follows from it."""

    name: str
    """What progress calls it: `seed 7`."""
    call: Callable[[StageContext], T]
    """A function of a module with its first arguments bound, all of which can be pickled."""


class _AbsentError(Exception):
    """A result is not in the store."""


def results[T](jobs: Sequence[VariantJob[T]], context: StageContext) -> list[T]:
    """Return what each job returns, in order; first have children make what is missing, where several may run at once.

    Raises:
        EngineError: what one of them raises; the others are ended, and keep their checkpoints.

    """
    parallel = context.at_once
    quiet = replace(context, progress=SilentProgress())
    apart: list[VariantJob[T]] = []
    if parallel is not None and parallel.most > 1:
        missing = [job for job in jobs if not _is_made(job, quiet, parallel)]
        # one that is alone is made here, which spares the start of a process
        if len(missing) > 1:
            _make(missing, context, parallel)
            apart = missing
    # What a child has remarked on is shown already.
    return [job.call(quiet if job in apart else context) for job in jobs]


def _is_made[T](job: VariantJob[T], context: StageContext, parallel: AtOnce) -> bool:
    """Tell whether every result of a job is there; looks and makes nothing."""

    def cached(name: str, payload: Mapping[str, Any], _: object) -> Artifact:
        key: StageKey = product_key(name, payload)
        found = parallel.find(key.digest)
        if found is None:
            raise _AbsentError(name)
        return found

    try:
        job.call(replace(context, cached=cached))
    except _AbsentError:
        return False
    return True


@dataclass(slots=True)
class _RunningJob:
    """A child and the job that it does."""

    name: str
    child: Child
    closing: contextlib.ExitStack
    reader: threading.Thread
    shown: str = "starts"
    is_done: bool = False

    def begin(self, name: str, order: str) -> None:
        """Give it a job. StageError X866 where it takes none."""
        self.name, self.shown, self.is_done = name, "starts", False
        try:
            self.child.send(order)
        except OSError as error:
            raise _unstarted(name, error) from error


class _Line(Value, kw_only=False):
    """What a child wrote, or None at the end of all; or why nothing more is read."""

    number: int
    text: str | None
    error: HangsError | None = None


def _make(jobs: Sequence[VariantJob[Any]], context: StageContext, parallel: AtOnce) -> None:
    lines: queue.Queue[_Line] = queue.Queue()
    running: dict[int, _RunningJob] = {}
    orders = ((job.name, _order(job, context, parallel)) for job in jobs)
    ended = 0
    try:
        # All are started first: an order is longer than a pipe holds, and waits for the child that reads it.
        first = jobs[: parallel.most]
        for number, job in enumerate(first):
            command = module(CHILD)(_processors(number, len(first)))
            running[number] = _started(job.name, command, context, partial(_read, number, lines))
        # Before they have imported anything, which takes a while.
        _show(running, ended, len(jobs), context)
        for one in running.values():
            _go_on(one, orders)
        while running:
            line = _next(lines)
            one = running[line.number]
            if line.text is None:
                del running[line.number]
                _end(one, line.error)
            elif _takes_done(one, parse_json(line.text), context):
                ended += 1
                _go_on(one, orders)
            _show(running, ended, len(jobs), context)
    finally:
        _stop(running)


def _show(running: Mapping[int, _RunningJob], ended: int, of: int, context: StageContext) -> None:
    busy = [each for each in running.values() if not each.is_done]
    shown = " · ".join(f"{each.name}: {each.shown}" for each in busy)
    now = {"now": shown} if shown else {}
    context.progress.update(ended, of, "trainings", **now)


def _go_on(one: _RunningJob, orders: Iterator[tuple[str, str]]) -> None:
    """Give a child the next job; without one it ends."""
    if following := next(orders, None):
        one.begin(*following)
    else:
        one.child.close_input()


def _next(lines: queue.Queue[_Line]) -> _Line:
    # waiting without an end would keep Ctrl-C out on some systems
    while True:
        with contextlib.suppress(queue.Empty):
            return lines.get(timeout=0.5)


def _order(job: VariantJob[Any], context: StageContext, parallel: AtOnce) -> str:
    # Without what only this process has: it would not even be pickled.
    sent = replace(context, cached=_unset, made_anew=None, scratch_for=_unset, at_once=None)
    sent = replace(sent, progress=None)
    order = (str(Path.cwd()), str(parallel.root), job.call, sent)
    return f"{base64.b64encode(pickle.dumps(order)).decode('ascii')}\n"


def _processors(number: int, of: int) -> str:
    """Return the processors of one of so many children, by number; none where each cannot have its own."""
    every = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    return ",".join(map(str, every[number::of])) if len(every) >= of else ""


def _started(
    name: str, command: Command, context: StageContext, read: Callable[[Child], None]
) -> _RunningJob:
    extra = {name: value for name in NEEDED if (value := os.environ.get(name))}
    if context.ranks.ray:
        from engine.backends.process_training import ray_variables  # a plan comes by here

        extra |= ray_variables()
    closing = contextlib.ExitStack()
    try:
        folder = closing.enter_context(working_folder())
        # What libraries leave there goes with it: a child ends without their clearing up.
        extra |= dict.fromkeys(TEMPORARY, str(folder))
        child = closing.enter_context(
            start(
                command,
                folder=folder,
                variables=environment(extra),
                out=PIPE,
                errors=STDERR,
                given=PIPE,
            )
        )
    except OSError as error:
        closing.close()
        raise _unstarted(name, error) from error
    reader = threading.Thread(target=read, args=(child,), daemon=True)
    reader.start()
    return _RunningJob(name=name, child=child, closing=closing, reader=reader)


def _unstarted(name: str, error: OSError) -> StageError:
    why = error.strerror or error
    return StageError.one("X866", f"{name}: its process cannot be started: {why}")


def _unset(*_: object) -> NoReturn:
    raise AssertionError


def _read(number: int, lines: queue.Queue[_Line], child: Child) -> None:
    try:
        for text in child.lines():
            lines.put(_Line(number, text))
    except HangsError as error:
        lines.put(_Line(number, None, error))
    else:
        lines.put(_Line(number, None))


def _takes_done(one: _RunningJob, event: Mapping[str, Any], context: StageContext) -> bool:
    """Take what a child tells; return whether its job is done."""
    if "update" in event:
        done, total, unit = event["update"]
        one.shown = f"{done}/{total} {unit}" if total else f"{done} {unit}"
    elif "note" in event:
        context.progress.note(event["note"])
    elif "measured" in event:
        step, steps, numbers, of = event["measured"]
        if isinstance(context.progress, MeasuredProgress):
            context.progress.measured(step, steps, numbers, of=of)
    elif "failed" in event:
        raise _error(event["failed"])
    else:
        one.is_done = True
    return one.is_done


def _end(one: _RunningJob, error: HangsError | None) -> None:
    status = one.child.wait() if error is None else one.child.stop()
    one.closing.close()
    if not one.is_done:
        raise StageError.one(
            "X866",
            f"{one.name}: {error or _ending(status)}",
            # Our own kills end in other errors, so SIGKILL is the kernel's.
            hint="run the same command again with a smaller --parallel: the machine ran out of memory, most likely"
            if status == -signal.SIGKILL and error is None
            else "run the same command again, or with --parallel 1; the log of the run says more",
        ) from error


def _ending(status: int) -> str:
    if status < 0:
        return f"its process was killed by {signal.Signals(-status).name}"
    return f"its process exited with {status}"


def _stop(running: Mapping[int, _RunningJob]) -> None:
    # Once: a second signal would end them without one.
    for one in running.values():
        one.child.signal(signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    for one in running.values():
        one.child.has_ended(within=max(0.0, deadline - time.monotonic()))
        one.child.kill()
        # it reads to the end of what the child has written: before that is closed
        one.reader.join(GRACE)
        one.closing.close()


def as_event(error: EngineError) -> dict[str, Any]:
    """Return an error as JSON data, of which `_error` makes it again."""
    problems = [
        {"code": one.code, "message": one.message, "path": one.path, "hint": one.hint, "severity": one.severity.value}
        for one in error.problems
    ]  # fmt: skip
    # Of errors that other modules define, the class that stands in `engine.errors`: it has the exit code.
    kind = next(one.__name__ for one in type(error).__mro__ if one.__module__ == errors.__name__)
    return {"failed": {"kind": kind, "problems": problems}}


def _error(described: Mapping[str, Any]) -> EngineError:
    kind: type[EngineError] = getattr(errors, described["kind"])
    return kind(
        [
            Problem(**{**fields, "severity": Severity(fields["severity"])})
            for fields in described["problems"]
        ]
    )
