"""Trainings beside the model of the run, several at once, in child processes that leave results in the store."""

import base64
import contextlib
import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from engine import errors
from engine.artifacts.stage import AtOnce, StageContext
from engine.environment import tool_versions
from engine.errors import EngineError, Problem, StageError
from engine.failures import as_engine_error
from engine.files.reading import STORE_KEY, parse_json
from engine.process import interrupts
from engine.process.child import Child, HangsError
from engine.process.policies import TOOLS
from engine.process.start import PIPE, Command, environment, module, start, working_folder
from engine.progress import MeasuredProgress, Progress, note_waiting
from engine.render.progress_display import SilentProgress
from engine.store import Artifact, DamagedError, StageKey, Store, product_key
from engine.values import Value, from_json, replace, to_json

CHILD: Final = "engine.training.at_once"
"""Started with the processors that it keeps to, it reads an order for each job, and ends with this process."""
NEEDED: Final = (STORE_KEY, "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", *TOOLS)
"""Variables that name the user's own folders, where results are signed with the user's key, and the user's tools."""
TEMPORARY: Final = ("TEMP", "TMP", "TMPDIR")
STDERR: Final = 2
NOT_STARTED: Final = "its process cannot be started"
GRACE: Final = 30.0
"""Seconds in which a training that is asked to end may write a checkpoint."""


class VariantJob[T](Value):
    name: str
    """Its name in progress messages: `seed 7`."""
    call: Callable[[StageContext], T]
    """A function of a module with its first arguments bound, all of which can be pickled."""


class _AbsentError(Exception):
    pass


def results[T](jobs: Sequence[VariantJob[T]], context: StageContext) -> list[T]:
    """Return what each job returns, in order; first have children make what is missing, where several may run at once.

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
class _Worker:
    child: Child
    name: str
    shown: str = "starts"
    """Progress of the job; empty once it is done."""

    def take(self, event: Mapping[str, Any], progress: Progress) -> None:
        if "update" in event:
            done, total, unit = event["update"]
            self.shown = f"{done}/{total} {unit}" if total else f"{done} {unit}"
        elif "note" in event:
            progress.note(event["note"])
        elif "measured" in event:
            *measured, of = event["measured"]
            if isinstance(progress, MeasuredProgress):
                progress.measured(*measured, of=of)
        elif "failed" in event:
            kind: type[EngineError] = getattr(errors, event["failed"]["kind"])
            raise kind([from_json(Problem, one) for one in event["failed"]["problems"]])
        else:
            self.shown = ""


def _make(jobs: Sequence[VariantJob[Any]], context: StageContext, parallel: AtOnce) -> None:
    # Without what only this process has: it would not even be pickled.
    sent = replace(context, cached=_unset, made_anew=None, scratch_for=_unset, at_once=None)
    sent = replace(sent, progress=None)
    orders = (
        (job.name, pickle.dumps((str(Path.cwd()), str(parallel.root), job.call, sent)))
        for job in jobs
    )
    workers: list[_Worker] = []
    lock, ended = threading.RLock(), 0

    def show() -> None:
        shown = " · ".join(f"{one.name}: {one.shown}" for one in workers if one.shown)
        now = {"now": shown} if shown else {}
        context.progress.update(ended, len(jobs), "trainings", **now)

    def following() -> tuple[str, bytes] | None:
        with lock:
            return next(orders, None)

    def work(one: _Worker) -> None:
        nonlocal ended
        lines = one.child.lines()
        for one.name, order in iter(following, None):
            one.shown = "starts"
            try:
                one.child.send(f"{base64.b64encode(order).decode('ascii')}\n")
            except OSError as error:
                raise _broken(one.name, f"{NOT_STARTED}: {error.strerror or error}") from error
            try:
                for text in lines:
                    with lock:
                        one.take(parse_json(text), context.progress)
                        ended += not one.shown
                        show()
                    if not one.shown:
                        break
            except HangsError as error:
                workers.remove(one)
                one.child.stop()
                raise _broken(one.name, str(error)) from error
            if one.shown:
                workers.remove(one)
                raise _broken(one.name, "", one.child.wait())
        one.child.close_input()

    with contextlib.ExitStack() as closing:
        # All are started first: an order is longer than a pipe holds, and waits for the child that reads it.
        first = jobs[: parallel.most]
        for number, job in enumerate(first):
            command = module(CHILD)(_processors(number, len(first)))
            child = closing.enter_context(_started(job.name, command, context))
            workers.append(_Worker(child, job.name))
        # Before they have imported anything, which takes a while.
        show()
        with ThreadPoolExecutor(len(workers)) as pool:
            pending = {pool.submit(work, one) for one in workers}
            try:
                while pending:
                    # Waiting without an end would keep Ctrl-C out on some systems.
                    done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                    for one in done:
                        one.result()
                for worker in workers:
                    worker.child.wait()
            finally:
                _stop([*workers] if pending else ())


def _processors(number: int, of: int) -> str:
    """Return the processors of one of so many children, by number; none where each cannot have its own."""
    every = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    return ",".join(map(str, every[number::of])) if len(every) >= of else ""


@contextlib.contextmanager
def _started(name: str, command: Command, context: StageContext) -> Iterator[Child]:
    extra = {name: value for name in NEEDED if (value := os.environ.get(name))}
    if context.ranks.ray:
        from engine.backends.process_training import ray_variables  # a plan comes by here

        extra |= ray_variables()
    with working_folder() as folder:
        # What libraries leave there goes with it: a child ends without their clearing up.
        variables = environment({**extra, **dict.fromkeys(TEMPORARY, str(folder))})
        try:
            child = start(
                command, folder=folder, variables=variables, out=PIPE, errors=STDERR, given=PIPE
            )
        except OSError as error:
            raise _broken(name, f"{NOT_STARTED}: {error.strerror or error}") from error
        with child:
            yield child


def _unset(*_: object) -> NoReturn:
    raise AssertionError


def _broken(name: str, why: str, status: int = 0) -> StageError:
    how = f"its process exited with {status}"
    hint = "run the same command again, or with --parallel 1; the log of the run says more"
    if status < 0:
        how = f"its process was killed by {signal.Signals(-status).name}"
    # Our own kills end in other errors, so SIGKILL is the kernel's.
    if status == -signal.SIGKILL:
        hint = "run the same command again with a smaller --parallel: the machine ran out of memory, most likely"
    return StageError.one("X866", f"{name}: {why or how}", hint=hint)


def _stop(workers: Iterable[_Worker]) -> None:
    # Once: a second signal would end them without one.
    for one in workers:
        one.child.signal(signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    for one in workers:
        # Its own thread may collect it meanwhile.
        with contextlib.suppress(ChildProcessError):
            one.child.has_ended(within=max(0.0, deadline - time.monotonic()))
            one.child.kill()


def as_event(error: EngineError) -> dict[str, Any]:
    problems = [to_json(replace(one, place=None)) for one in error.problems]
    # Of errors that other modules define, the class that stands in `engine.errors`: it has the exit code.
    kind = next(one.__name__ for one in type(error).__mro__ if one.__module__ == errors.__name__)
    return {"failed": {"kind": kind, "problems": problems}}


class LineProgress(Value, kw_only=False):
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
