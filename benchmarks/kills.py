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
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from survival import STATES, WORDS, Bench, both, opened, tools

from support import forked_runs
from support.forked_runs import Forked
from support.runs import run_folders
from support.survived import EVERYTHING, faults_of

REAL = 0.1
"""Share of the cases that start the real converter, which imports for four seconds, and not a fork of one that has."""
SIGNALS = {
    "KILL": signal.SIGKILL,
    "TERM": signal.SIGTERM,
    "HUP": signal.SIGHUP,
    "INT": signal.SIGINT,
}
MOST_SECONDS = 120.0
"""For a run to come to the write before which it ends, and for one that was asked to end."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kills:
    """Kills of a project."""

    bench: Bench
    signal: int

    def played(self, case: Case) -> tuple[str, list[str]]:
        """Play a case; return how the kill went, and what is wrong."""
        folder = self.bench.in_state(case.state)
        length, kills = self.bench.length(case.state), self.signal == signal.SIGKILL
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
        wrong += faults_of(folder, self.bench.reference, code=after.wait())
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


def main(words: Sequence[str] | None = None) -> int:
    """Play the cases and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--signal", choices=SIGNALS, default="KILL")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no case after so long")
    options = parser.parse_args(words)
    began, counts, wrong = time.monotonic(), Counter[str](), 0
    with opened() as bench:
        kills = Kills(bench=bench, signal=SIGNALS[options.signal])
        number = options.first
        while sum(counts[f"{state} killed"] for state in set(STATES)) < options.kills:
            if time.monotonic() - began > options.seconds:
                break
            case = drawn(options.seed, number)
            how, faults = kills.played(case)
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


if __name__ == "__main__":
    sys.exit(main())
