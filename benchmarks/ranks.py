"""End processes of a training of two again and again, and compare the bytes with those of one process.

    PYTHONPATH=tests python benchmarks/ranks.py --kills 50 --seed 1 [--backend axolotl] [--signal TERM]
    PYTHONPATH=tests python benchmarks/ranks.py --kills 20 --seed 1 --run

A random two-layer model is trained on 24 rows for as many epochs as the kills need. Each time 3 to 9 more steps are
done, one of the processes, drawn by the seed, is ended by SIGKILL, and the training goes on by itself (`retries`).
With `--signal TERM` the training as a whole is asked to end, which saves and ends, and is started again. It must come
to the bytes of one process, and one that was asked to end may lose 2 steps at most.
With `--run` it is `recipe run --on two` that is asked to end by SIGTERM: one time in three at a moment before the first
step, else after 1 to 9 more steps, at a drawn moment of the next. It must end with 143 and a record that says that it
was interrupted, and say how to go on. Ends with 1 where something of this is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.backends import load_backend
from engine.backends.base import Launch
from engine.backends.trainer_state import checkpoints
from engine.compute.profile import Ranks
from engine.process import interrupts
from engine.values import replace
from support import forked_runs
from support.cluster_runs import adapters, on, pico_project
from support.launches import RecordedProgress, make_launch, make_recipe
from support.pico import make_pico_model
from support.processes import ranks_of
from support.shared import open_shared_folder

STEPS_AN_EPOCH = 3
BETWEEN = (3, 9)
"""Steps from one kill to the next."""
MOST_LOST = 2
COMPUTE = "compute: v1\nprofiles:\n  two: {processes: 2}\n"
RUN = ("run", "recipe.yaml", "--until", "train")
STEPS_OF_A_RUN = 8
"""In an epoch of the recipe that is run."""
EARLY = 1 / 3
"""Share of the moments before a first step."""
BEFORE_SECONDS, STEP_SECONDS = 4.0, 0.2
"""From the beginning of a training, or from a step, to the moment."""
POLL = 0.02
LOG = "forked.log"
GOES_ON = "the same command"


@dataclass
class Ending(RecordedProgress):
    """Progress that ends a process when as many steps are done as were drawn."""

    draw: random.Random = field(default_factory=random.Random)
    left: int = 0
    number: int = signal.SIGKILL
    at: int = 4
    ended_at: list[int] = field(default_factory=list)

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:  # noqa: ARG002 - the contract
        """Look whether it is time; not while it is ending already."""
        if unit != "step" or done < self.at or not self.left or interrupts.pending() is not None:
            return
        self.left -= 1
        self.ended_at.append(done)
        self.at = done + self.draw.randint(*BETWEEN)
        if self.number == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)
        else:
            os.kill(self.draw.choice(ranks_of(os.getpid())), self.number)


def main() -> int:
    """Run it, and print a line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", choices=("axolotl", "trl"), default="trl")
    parser.add_argument("--signal", choices=("KILL", "TERM"), default="KILL")
    parser.add_argument("--run", action="store_true")
    given = parser.parse_args()
    open_shared_folder()
    with tempfile.TemporaryDirectory() as folder:
        return (_end_runs if given.run else _play)(Path(folder), given)


def _play(folder: Path, given: argparse.Namespace) -> int:
    base = make_pico_model(folder / "base")
    epochs = float(2 + given.kills * BETWEEN[1] // STEPS_AN_EPOCH)
    recipe = make_recipe(given.backend, epochs=epochs, early_stopping=None, keep="last")
    whole = load_backend(given.backend).train(make_launch(recipe, folder / "one", base))
    number = getattr(signal, f"SIG{given.signal}")
    progress = Ending(draw=random.Random(given.seed), left=given.kills, number=number)  # noqa: S311
    launch = replace(
        make_launch(recipe, folder / "two", base),
        ranks=Ranks(processes=2, retries=given.kills),
        progress=progress,
    )
    began = time.monotonic()
    adapter, lost = _trained(given.backend, launch, progress)
    expected = sha256((whole.folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    wrong = [f"{steps} steps lost" for steps in lost if steps > MOST_LOST]
    wrong += [] if adapter == expected else [f"{adapter[:16]} and not {expected[:16]}"]
    print(
        f"{len(progress.ended_at)} x SIG{given.signal} at steps {progress.ended_at} of {whole.steps}"
    )
    print(
        f"{time.monotonic() - began:.0f} s; steps lost {lost or 'as saved'}; wrong: {wrong or 'nothing'}"
    )
    return bool(wrong)


def _trained(backend: str, launch: Launch, progress: Ending) -> tuple[str, list[int]]:
    """Train until it is done; return the adapter's digest, and the steps that each ending has lost."""
    lost = []
    while True:
        try:
            with interrupts.handled():
                trained = load_backend(backend).train(launch)
        except interrupts.Interrupted:
            saved = checkpoints(launch.folder / "output")
            lost.append(max(0, progress.ended_at[-1] - (saved[-1][0] if saved else 0)))
            continue
        return sha256((trained.folder / "adapter_model.safetensors").read_bytes()).hexdigest(), lost


def _end_runs(folder: Path, given: argparse.Namespace) -> int:
    draw = random.Random(given.seed)  # noqa: S311 - repeatable
    # Twice as many as are drawn: while a step is waited for, and at its drawn moment, more are done.
    epochs = 2 + 2 * given.kills * BETWEEN[1] // STEPS_OF_A_RUN
    one, two = (pico_project(folder / name, COMPUTE, {}) for name in ("one", "two"))
    for project in (one, two):
        project.edit(backend__name=given.backend, method__epochs=epochs)
    forked_runs.prepare()
    began, wrong, steps = time.monotonic(), list[str](), list[int]()
    while len(steps) < given.kills:
        (two.folder / LOG).unlink(missing_ok=True)
        run = forked_runs.start(two.folder, [*RUN, *on("two")])
        if not _asked(two.folder, run, draw):
            wrong.append(f"ended before it was asked: {_log(two.folder)}")
            break
        status, done, saved = run.wait(), _step(two.folder), _saved(two.folder)
        steps.append(done)
        faults = [*_faults(two.folder, status, lost=done - saved)]
        faults += [f"lives on: {line}" for line in forked_runs.alive()]
        print(f"at step {done}, saved {saved}: {'; '.join(faults) or 'as it should'}", flush=True)
        wrong += faults
    for project, words in ((one, ()), (two, on("two"))):
        status = forked_runs.start(project.folder, [*RUN, *words]).wait()
        wrong += [] if status == 0 else [f"{status}: {_log(project.folder)}"]
    wrong += [] if adapters(two.folder) == adapters(one.folder) != [] else ["other weights"]
    print(f"{len(steps)} x SIGTERM to `recipe run` at steps {steps} of {epochs * STEPS_OF_A_RUN}")
    print(f"{time.monotonic() - began:.0f} s; wrong: {wrong or 'nothing'}")
    return bool(wrong)


def _asked(folder: Path, run: forked_runs.Forked, draw: random.Random) -> bool:
    """Ask a run to end at a drawn moment of its training; False where it has ended before."""
    is_early = draw.random() < EARLY
    before = _begun(folder)
    at, moment = _saved(folder) + draw.randint(1, BETWEEN[1]), draw.random()
    while not run.ends_within(POLL):
        if _begun(folder) != before and (is_early or _step(folder) >= at):
            ended = run.ends_within(moment * (BEFORE_SECONDS if is_early else STEP_SECONDS))
            if not ended:
                os.kill(run.number, signal.SIGTERM)
            return not ended
    return False


def _begun(folder: Path) -> set[tuple[Path, int]]:
    """Return what changes when a training begins."""
    found = folder.glob(".recipe/scratch/*/config.yaml")
    return {(path, path.stat().st_mtime_ns) for path in found}


def _step(folder: Path) -> int:
    """Return how many steps are done, by the events of the training."""
    return max((one["step"] for one in _events(folder) if one["event"] == "step"), default=0)


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    for path in folder.glob(".recipe/scratch/*/events.jsonl"):
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        # The last line may be one that is being written.
        yield from (json.loads(one) for one in text.splitlines(keepends=True) if one[-1] == "\n")


def _saved(folder: Path) -> int:
    """Return the step of the last whole checkpoint."""
    found = [checkpoints(path) for path in folder.glob(".recipe/scratch/*/output")]
    return max((step for output in found for step, _ in output), default=0)


def _faults(folder: Path, status: int, *, lost: int) -> Iterator[str]:
    """Yield what is not as it should be after a run was asked to end."""
    if status != 128 + signal.SIGTERM:
        yield f"it ended with {status}: {_log(folder)}"
    if lost > MOST_LOST:
        yield f"{lost} steps lost"
    if GOES_ON not in _log(folder):
        yield f"it does not say how to go on: {_log(folder)}"
    runs = sorted((folder / ".recipe" / "runs").glob("*/*"))
    record = runs[-1] / "run.json"
    outcome = json.loads(record.read_text("utf-8"))["outcome"] if record.is_file() else None
    if outcome != "interrupted":
        yield f"its record has {outcome}"


def _log(folder: Path) -> str:
    return (folder / LOG).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
