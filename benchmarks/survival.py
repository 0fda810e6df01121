"""What `kills.py`, `full_disk.py` and `damages.py` share: a tiny finished project, and runs of it in forks."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support import forked_runs
from support.forked_runs import Setup
from support.module_server import CONVERTER, script_of
from support.pico import make_pico_model
from support.project import Outcome, Project, write_project
from support.runs import PLAIN
from support.shared import open_shared_folder
from support.survived import EVERYTHING, NOTHING, Reference, in_state, reference_of

WORDS = ["run", "recipe.yaml"]
STATES = (*PLAIN, NOTHING, NOTHING, EVERYTHING)
"""What is still to be done; the lock is written in each, and most often in the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long a run from one state takes, and how many writes Python makes in it."""

    seconds: float
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The finished project, what it left, and how long runs take."""

    work: Path
    finished: Path
    reference: Reference
    lengths: dict[str, Length]

    def in_state(self, state: str, *, name: str = "case") -> Path:
        """Return a copy of the project in which `state` is still to be done."""
        return in_state(self.finished, self.work / name, state)


def both(*setups: Setup) -> Setup:
    """Return what does one after the other."""

    def setup() -> None:
        for one in setups:
            one()

    return setup


def tools(*, real: bool = False) -> Setup:
    """Return what has the converter forked from a process that has imported its libraries, unless the real one runs."""

    def setup() -> None:
        from engine.process.start import module, script
        from engine.runtime.gguf import convert

        if not real:
            vars(convert)["module"] = lambda name: (
                script(script_of(CONVERTER)) if name == CONVERTER.name else module(name)
            )

    return setup


def made(work: Path) -> Path:
    """Write the project, and run it whole."""
    folder = work / "finished"
    folder.mkdir()
    write_project(folder, make_pico_model(work / "model"))
    Project(folder=folder, run=lambda *_: Outcome(code=0, out="", err="")).edit(
        export={"formats": ["safetensors", "gguf", "ollama"]},
        baselines=["majority", "tfidf_svm"],
        method__epochs=1,
        method__evaluations_per_epoch=4,
    )
    run_to_end(folder)
    return folder


def run_to_end(folder: Path, setup: Setup = lambda: None) -> tuple[float, float]:
    """Run the command in a folder; return the seconds that it took, and those of the processor."""
    began = time.monotonic()
    run = forked_runs.start(folder, WORDS, setup=both(tools(), setup))
    if run.wait() != 0:
        sys.exit((folder / "forked.log").read_text(encoding="utf-8"))
    return time.monotonic() - began, run.cpu


def opened(work: Path, states: Sequence[str] = STATES) -> Bench:
    """Make all that cases need: a finished project, and how long it takes from each state."""
    open_shared_folder()
    # Before what runs leave is adopted: this process outlives them.
    script_of(CONVERTER)
    forked_runs.prepare()
    finished = made(work)
    lengths, folders = {}, []
    for state in dict.fromkeys(states):
        folder = in_state(finished, work / f"measured-{state}", state)
        count = work / f"writes-{state}"
        seconds, cpu = run_to_end(folder, forked_runs.counted_writes(count))
        writes = int(count.read_text(encoding="ascii"))
        lengths[state] = Length(seconds=seconds, writes=writes)
        folders.append(folder)
        print(f"{state}: {seconds:.2f} s ({cpu:.2f} s of a processor), {writes} writes", flush=True)
    reference = reference_of([finished, *folders])
    for folder in folders:
        shutil.rmtree(folder)
    print(f"{len(reference.stable)} files have the same bytes in every run", flush=True)
    return Bench(work=work, finished=finished, reference=reference, lengths=lengths)


def in_memory() -> str | None:
    """Return a folder in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - random names below it
