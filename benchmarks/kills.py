"""Kill runs at seeded random moments and look at what the next run makes of it.

    PYTHONPATH=tests python benchmarks/kills.py --kills 1000 --seed 1
    PYTHONPATH=tests python benchmarks/kills.py --kills 1 --seed 1 --first 417     # one case again

A tiny recipe (a random two-layer model, 140 rows) is run whole twice; a case then takes a copy in which one stage, all
or none is still to be done, runs it in a forked process, and sends SIGKILL to its process group: after a time drawn
over the whole run, or before a write drawn among all that Python makes (of artifacts, run folder, report and lock).
Then the same command is run to its end. It must end with 0 and equal bytes, no process may live a second after the
kill, and nothing may be left over. Ends with 1 where a case did not.
With `--signal` another one is sent, to the run alone: it must end by itself with the exit code of the signal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support import forked_runs
from support.forked_runs import Forked, Setup
from support.module_server import CONVERTER, script_of
from support.pico import make_pico_model
from support.project import Outcome, Project, write_project
from support.runs import PLAIN, run_folders
from support.shared import open_shared_folder
from support.survived import EVERYTHING, NOTHING, Reference, faults_of, in_state, reference_of

WORDS = ["run", "recipe.yaml"]
STATES = (*PLAIN, NOTHING, NOTHING, EVERYTHING)
"""What is still to be done; the lock is written in each, and most often in the last ones."""
REAL = 0.1
"""Share of the cases that start the real converter, which imports for four seconds, and not a fork of one that has."""
SIGNALS = {
    "KILL": signal.SIGKILL,
    "TERM": signal.SIGTERM,
    "HUP": signal.SIGHUP,
    "INT": signal.SIGINT,
}
MOST_SECONDS = 30.0
"""For a run that was asked to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long a run from one state takes, and how many writes Python makes in it."""

    seconds: float
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kill."""

    number: int
    state: str
    by: str
    """`time` or `write`."""
    share: float
    """Of the seconds or of the writes of the run."""
    real: bool

    def words(self) -> str:
        """Return it in a line."""
        tool = ", real converter" if self.real else ""
        return f"case {self.number}: {self.state}, {self.by} at {self.share:.3f}{tool}"


def drawn(seed: int, number: int) -> Case:
    """Return the case of that number, which depends on nothing else."""
    draw = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable
    state = draw.choice(STATES)
    return Case(
        number=number,
        state=state,
        by=draw.choice(("time", "write")),
        share=draw.random(),
        real=state in ("quantize", EVERYTHING) and draw.random() < REAL,
    )


@dataclass(slots=True, kw_only=True)
class Bench:
    """The finished project, what it left, and how long runs take."""

    work: Path
    finished: Path
    reference: Reference
    lengths: dict[str, Length]
    signal: int

    def played(self, case: Case) -> tuple[str, list[str]]:
        """Play a case; return how the kill went, and what is wrong."""
        folder = in_state(self.finished, self.work / "case", case.state)
        length, kills = self.lengths[case.state], self.signal == signal.SIGKILL
        before = len(run_folders(folder / ".recipe"))
        if case.by == "time":
            run = forked_runs.start(folder, WORDS, setup=tools(real=case.real))
            if not run.ends_within(case.share * length.seconds):
                run.kill() if kills else os.kill(run.number, self.signal)
        else:
            act = forked_runs.kill_group if kills else once(self.signal)
            hook = forked_runs.at_write(1 + int(case.share * length.writes), act)
            run = forked_runs.start(folder, WORDS, setup=both(tools(real=case.real), hook))
        wrong = self._ended(run, folder, before, kills=kills)
        how = "killed" if run.status in (-9, 128 + self.signal) else "too late"
        wrong += [f"alive: {line}" for line in forked_runs.alive()]
        after = forked_runs.start(folder, WORDS, setup=tools(real=False))
        wrong += faults_of(folder, self.reference, code=after.wait())
        wrong += [f"alive after the next run: {line}" for line in forked_runs.alive()]
        return how, wrong

    def _ended(self, run: Forked, folder: Path, before: int, *, kills: bool) -> list[str]:
        if not run.ends_within(MOST_SECONDS):
            run.kill()
            return [f"did not end within {MOST_SECONDS:.0f} s"]
        if kills:
            return []
        if run.status not in (0, 128 + self.signal):
            return [f"ended with {run.status}"]
        found = run_folders(folder / ".recipe")
        outcomes = [json.loads((one / "run.json").read_text())["outcome"] for one in found[before:]]
        expected = ["interrupted"] if run.status else ["accepted"]
        return [] if outcomes in (expected, []) else [f"the outcomes are {outcomes}"]


def once(number: int) -> forked_runs.Setup:
    """Return what sends this process a signal the first time only."""
    sent: list[int] = []

    def act() -> None:
        if not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    return act


def both(*setups: Setup) -> Setup:
    """Return what does one after the other."""

    def setup() -> None:
        for one in setups:
            one()

    return setup


def tools(*, real: bool) -> Setup:
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
    formats = {"formats": ["safetensors", "gguf", "ollama"]}
    Project(folder=folder, run=lambda *_: Outcome(code=0, out="", err="")).edit(export=formats)
    run_to_end(folder)
    return folder


def run_to_end(folder: Path, setup: Setup = lambda: None) -> float:
    """Run the command in a folder; return the seconds that it took."""
    began = time.monotonic()
    code = forked_runs.start(folder, WORDS, setup=both(tools(real=False), setup)).wait()
    if code != 0:
        sys.exit((folder / "forked.log").read_text(encoding="utf-8"))
    return time.monotonic() - began


def measured(finished: Path, work: Path) -> tuple[dict[str, Length], list[Path]]:
    """Run the project from each state; return how long that took, and the folders of runs from nothing."""
    found, folders = {}, []
    for state in dict.fromkeys(STATES):
        folder = in_state(finished, work / f"measured-{state}", state)
        seconds = run_to_end(folder, forked_runs.counted_writes(work / f"writes-{state}"))
        writes = int((work / f"writes-{state}").read_text(encoding="ascii"))
        found[state] = Length(seconds=seconds, writes=writes)
        folders.append(folder)
        print(f"{state}: {seconds:.2f} s, {writes} writes", flush=True)
    return found, folders


def opened(work: Path, number: int) -> Bench:
    """Make all that cases need."""
    open_shared_folder()
    # Before what runs leave is adopted: this process outlives them.
    script_of(CONVERTER)
    forked_runs.prepare()
    finished = made(work)
    lengths, folders = measured(finished, work)
    reference = reference_of([finished, *folders])
    for folder in folders:
        shutil.rmtree(folder)
    print(f"{len(reference.stable)} files have the same bytes in every run", flush=True)
    return Bench(work=work, finished=finished, reference=reference, lengths=lengths, signal=number)


def main() -> int:
    """Play the cases and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--signal", choices=SIGNALS, default="KILL")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no case after so long")
    options = parser.parse_args()
    began, counts, wrong = time.monotonic(), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="kills-", dir=_in_memory()) as folder:
        bench = opened(Path(folder), SIGNALS[options.signal])
        number = options.first
        while sum(counts[f"{state} killed"] for state in set(STATES)) < options.kills:
            if time.monotonic() - began > options.seconds:
                break
            case = drawn(options.seed, number)
            how, faults = bench.played(case)
            counts[f"{case.state} {how}"] += 1
            wrong += bool(faults)
            for fault in faults:
                print(f"{case.words()}, {how}: {fault}", flush=True)
            number += 1
            if number % 25 == 0:
                print(
                    f"{number - options.first} cases, {wrong} wrong, {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    print("| still to be done | ended | too late |\n|---|---|---|")
    for state in dict.fromkeys(STATES):
        print(f"| {state} | {counts[f'{state} killed']} | {counts[f'{state} too late']} |")
    total = sum(count for name, count in counts.items() if name.endswith(" killed"))
    seconds = time.monotonic() - began
    print(
        f"\n{total} times SIG{options.signal}, seed {options.seed}: {wrong} wrong, in {seconds:.0f} s"
    )
    return 1 if wrong else 0


def _in_memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - random names below it


if __name__ == "__main__":
    sys.exit(main())
