"""Fill the disk at seeded moments of a run and look at what the next run makes of it.

    PYTHONPATH=tests python benchmarks/full_disk.py --cases 200 --seed 1

A case takes a copy of a tiny finished project in which one stage, all or none is still to be done, and runs it where
the disk is full: a real file system in memory with so many pages left (`mount`, which takes root), every write that
makes something refused from a drawn one on (ENOSPC), or a limit to the size of files (RLIMIT_FSIZE). The run must end
with 0, or with 3 and E710 or E742, and the store must be whole; with space, the same command must end with 0 and
equal bytes, and nothing may be left over. Ends with 1 where a case did not.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from survival import STATES, WORDS, Bench, both, opened, tools

from support import forked_runs
from support.forked_runs import Setup
from support.runs import is_whole
from support.survived import STORE, faults_of, in_state

PAGE = 4096
DISK = 256 << 20
POLL = 0.002
KINDS = ("pages", "refused", "size")
CODES = re.compile(r"^([A-Z]\d{3})  ", re.MULTILINE)
EXPECTED = {"E710", "E742"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One full disk."""

    number: int
    state: str
    kind: str
    share: float
    """Of the pages, the writes or the size (as a power) that a run needs."""

    def words(self) -> str:
        """Return it in a line."""
        return f"case {self.number}: {self.state}, {self.kind} at {self.share:.3f}"


def drawn(seed: int, number: int, kinds: tuple[str, ...]) -> Case:
    """Return the case of that number, which depends on nothing else."""
    draw = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable
    return Case(
        number=number, state=draw.choice(STATES), kind=draw.choice(kinds), share=draw.random()
    )


@dataclass(slots=True, kw_only=True)
class FullDisks:
    """Cases on one project; `disk` is a file system of its own where it could be mounted."""

    bench: Bench
    disk: Path | None
    pages: dict[str, int] = field(default_factory=dict)
    """What a run from each state takes at the most, of those that were measured."""

    def played(self, case: Case) -> tuple[str, list[str]]:
        """Play a case; return how the run ended, and what is wrong."""
        disk = self.disk if case.kind == "pages" else None
        if disk and case.state not in self.pages:
            self.pages[case.state] = taken(self.bench, disk, case.state)
        folder = in_state(self.bench.finished, (disk or self.bench.work) / "case", case.state)
        ballast = self._filled(disk, case) if disk else None
        run = forked_runs.start(folder, WORDS, setup=both(tools(), self._setup(case)))
        run.wait()
        if ballast:
            ballast.unlink()
        log = (folder / "forked.log").read_text(encoding="utf-8", errors="replace")
        codes = set(CODES.findall(log)) & EXPECTED
        wrong = [f"alive: {line}" for line in forked_runs.alive()]
        if run.status not in (0, 3) or (run.status == 3 and not codes and log):
            wrong.append(f"ended with {run.status}: {log[-500:]}")
        if (folder / STORE / "store").exists() and not is_whole(folder / STORE):
            wrong.append("the store is not whole while the disk is full")
        after = forked_runs.start(folder, WORDS, setup=tools())
        wrong += faults_of(folder, self.bench.reference, code=after.wait())
        shutil.rmtree(folder)
        return ("ended with 0" if run.status == 0 else " ".join(sorted(codes)) or "3"), wrong

    def _filled(self, disk: Path, case: Case) -> Path:
        ballast = disk / "ballast"
        free = shutil.disk_usage(disk).free
        left = int(case.share * self.pages[case.state]) * PAGE
        ballast.write_bytes(bytes(max(0, free - left)))
        return ballast

    def _setup(self, case: Case) -> Setup:
        if case.kind == "refused":
            return forked_runs.full_from(1 + int(case.share * self.bench.length(case.state).writes))
        if case.kind == "size":
            # up to a megabyte: reports, checkpoints, models; the log of the run has room at least
            most = int((16 << 10) * 64**case.share)
            return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        return lambda: None


def taken(bench: Bench, disk: Path, state: str) -> int:
    """Return how many pages a run from a state takes at the most."""
    folder = in_state(bench.finished, disk / "case", state)
    before = least = shutil.disk_usage(disk).free
    run = forked_runs.start(folder, WORDS, setup=tools())
    while not run.ends_within(POLL):
        least = min(least, shutil.disk_usage(disk).free)
    if run.status != 0:
        sys.exit((folder / "forked.log").read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    pages = (before - least) // PAGE + 1
    print(f"{state}: {pages} pages", flush=True)
    return pages


@contextmanager
def mounted(work: Path) -> Iterator[Path | None]:
    """Yield a file system in memory of its own; None where this process may not mount one."""
    folder = work / "disk"
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def main(words: Sequence[str] | None = None) -> int:
    """Play the cases and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no case after so long")
    options = parser.parse_args(words)
    began, counts, wrong = time.monotonic(), Counter[tuple[str, str]](), 0
    with opened() as bench, mounted(bench.work) as disk:
        disks = FullDisks(bench=bench, disk=disk)
        kinds = KINDS if disk else KINDS[1:]
        for number in range(options.first, options.first + options.cases):
            if time.monotonic() - began > options.seconds:
                break
            case = drawn(options.seed, number, kinds)
            how, faults = disks.played(case)
            counts[case.kind, how] += 1
            wrong += bool(faults)
            for fault in faults:
                print(f"{case.words()}, {how}: {fault}", flush=True)
    print("| full by | ended | cases |\n|---|---|---|")
    for (kind, how), count in sorted(counts.items()):
        print(f"| {kind} | {how} | {count} |")
    seconds = time.monotonic() - began
    print(f"\n{counts.total()} full disks, seed {options.seed}: {wrong} wrong, in {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
