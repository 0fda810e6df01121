"""What `kills.py`, `full_disk.py` and `damages.py` share: a tiny finished project, and runs of it in forks.

    PYTHONPATH=tests python benchmarks/survival.py "kills.py --kills 8 --seed 1" "damages.py --every 30"

plays several of them on one project, and prints after each what it ended with.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
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


@dataclass(slots=True, kw_only=True)
class Bench:
    """The finished project, and what it left."""

    work: Path
    finished: Path
    reference: Reference
    lengths: dict[str, Length] = field(default_factory=dict)

    def in_state(self, state: str, *, name: str = "case") -> Path:
        """Return a copy of the project in which `state` is still to be done."""
        return in_state(self.finished, self.work / name, state)

    def length(self, state: str) -> Length:
        """Return how long a run from a state takes; measured once."""
        if state not in self.lengths:
            folder = self.in_state(state, name="measured")
            self.lengths[state] = _measured(folder, state, self.work / "writes")
            shutil.rmtree(folder)
        return self.lengths[state]


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


_OPENED: list[Bench] = []


@contextlib.contextmanager
def opened() -> Iterator[Bench]:
    """Yield all that cases need; programs that are played together share it."""
    if _OPENED:
        yield _OPENED[0]
        return
    with prepared("survival-") as folder:
        _OPENED.append(_made(folder))
        yield _OPENED[0]
        _OPENED.clear()


@contextlib.contextmanager
def prepared(prefix: str) -> Iterator[Path]:
    """Make all that forked runs need, and yield a folder for them."""
    open_shared_folder()
    # Before what runs leave is adopted: this process outlives them.
    script_of(CONVERTER)
    forked_runs.prepare()
    with tempfile.TemporaryDirectory(prefix=prefix, dir=_in_memory()) as folder:
        yield Path(folder)


def _made(work: Path) -> Bench:
    finished = made(work)
    again = in_state(finished, work / "again", EVERYTHING)
    length = _measured(again, EVERYTHING, work / "writes")
    reference = reference_of([finished, again])
    shutil.rmtree(again)
    print(f"{len(reference.stable)} files have the same bytes in every run", flush=True)
    lengths = {EVERYTHING: length}
    return Bench(work=work, finished=finished, reference=reference, lengths=lengths)


def _measured(folder: Path, state: str, count: Path) -> Length:
    """Run a project to its end, and say what that takes."""
    count.unlink(missing_ok=True)
    seconds, cpu = run_to_end(folder, forked_runs.counted_writes(count))
    writes = int(count.read_text(encoding="ascii"))
    print(f"{state}: {seconds:.2f} s ({cpu:.2f} s of a processor), {writes} writes", flush=True)
    return Length(seconds=seconds, writes=writes)


def _in_memory() -> str | None:
    """Return a folder in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - random names below it


def main() -> int:
    """Play each program with its words."""
    failed = 0
    with opened():
        for line in sys.argv[1:]:
            program, *words = line.split()
            code = importlib.import_module(program.removesuffix(".py")).main(words)
            print(f"{line}: ended with {code}", flush=True)
            failed += code != 0
    return 1 if failed else 0


if __name__ == "__main__":
    # By its name, which the programs import it by.
    sys.exit(importlib.import_module("survival").main())
