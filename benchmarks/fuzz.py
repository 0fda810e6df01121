"""Give every reader of foreign files inputs that nobody meant, and count how it ends.

    PYTHONPATH=tests python benchmarks/fuzz.py [--inputs 10000] [--begin 0] [--seed 1] [--workers 2]
        [--light | --only NAME] [--keep FOLDER]

Recipes are drawn by the grammar of the schema; other files are changed as values and as bytes. A reader may read
its file or refuse it with a code. Anything else is a failure: another exception, exit code 4, more than 25 s of the
processor, more than 2 GiB, the death of the process. Failures of one kind count once; the least input found is
written into `--keep`, to be put into `tests/examples/fuzz`, where tests read it ever after. An input is what its seed
and its number make it, so that a long run can be made in parts.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import pickle
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

MEMORY = 2 << 30
"""Bytes that an input may take, beyond what a worker holds."""
LIMITED = 50
"""After so many inputs it is looked how much that is."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one worker found."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By target: `read`, `refused`, `failed`."""
    slowest: dict[str, float] = field(default_factory=dict)
    """Seconds of the processor, by target."""
    spent: Counter[str] = field(default_factory=Counter)
    """The same, of all inputs, in microseconds."""
    failures: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    """By kind: the target, the number of the input, and the least content."""


def main() -> int:
    """Return 1 where a reader failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument(
        "--begin", type=int, default=0, help="the first number, to go on with a seed"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--light", action="store_true", help="only readers that take less than 1 ms"
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    started = time.monotonic()
    with ThreadPoolExecutor(options.workers) as pool:
        tallies = list(pool.map(partial(_watched, options=vars(options)), range(options.workers)))
    whole = _joined([one for found in tallies for one in found])
    print(_table(whole))
    for kind, (name, number, content) in sorted(whole.failures.items()):
        print(f"\n{name}, input {options.seed}.{number}: {kind}\n  {content[:300]!r}")
        if options.keep:
            digest = hashlib.sha256(content).hexdigest()[:12]
            place: Path = options.keep / name.replace("/", "__") / digest
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    inputs = sum(whole.ends.values())
    first = f" from number {options.begin:,}" if options.begin else ""
    print(
        f"\n{inputs:,} inputs{first}, seed {options.seed}, {time.monotonic() - started:.0f} s: "
        f"{len(whole.failures)} kinds of failures"
    )
    return 1 if whole.failures else 0


def _watched(worker: int, options: dict[str, Any]) -> list[Tally]:
    """Have a process try the inputs of one worker; one that kills it is a failure, and another process goes on."""
    found: list[Tally] = []
    begin, end = options["begin"] + worker, options["begin"] + options["inputs"]
    with tempfile.TemporaryDirectory() as name:
        trace = Path(name) / "input"
        while begin < end:
            # Spawned: a fork would share the state of libraries that have threads.
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                try:
                    found.append(pool.submit(_work, begin, options, trace).result())
                    break
                except BrokenProcessPool:
                    number, target, content = pickle.loads(trace.read_bytes())
                    kind = f"the process died of {target}"
                    died = Tally(failures={kind: (target, number, content)})
                    died.ends[target, "failed"] += 1
                    died.slowest[target] = 0.0
                    found.append(died)
                    begin = int(number) + options["workers"]
    return found


def _work(begin: int, options: dict[str, Any], trace: Path) -> Tally:
    """Try every input of a worker from one on; what is being tried stands in `trace`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for variable in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            os.environ[variable] = str(folder / "home")
        os.environ["HF_HUB_OFFLINE"] = "1"
        # The engine and its tests are imported only now, in an environment of their own.
        from support.fuzz_target import OF_A_READER
        from support.fuzz_targets import targets
        from support.fuzzing import prepare

        known = targets()
        chosen = [
            one
            for name, one in known.items()
            if (not options["only"] or name in options["only"])
            and (not options["light"] or one.weight == OF_A_READER)
        ]
        prepare(folder)
        tally = Tally()
        with contextlib.chdir(folder):
            numbers = range(begin, options["begin"] + options["inputs"], options["workers"])
            _try_all(chosen, numbers, options["seed"], tally, trace)
        return tally


def _try_all(chosen: list[Any], numbers: range, seed: int, tally: Tally, trace: Path) -> None:
    from support.fuzzing import FoundError, changed, minimised, read_once, read_unchanged

    folder = Path.cwd()
    for target in chosen:
        read_unchanged(target, folder)

    weights = [one.weight for one in chosen]
    for place, number in enumerate(numbers):
        target = random.Random(f"{seed}.{number}").choices(chosen, weights)[0]
        content = changed(target, random.Random(f"{target.name}.{seed}.{number}"))
        trace.write_bytes(pickle.dumps((str(number), target.name, content)))
        if place % LIMITED == 0:
            _limit_memory()
        started = time.process_time()
        try:
            end = read_once(target, content, folder, seed=f"{seed}.{number}")
        except FoundError as error:
            end = "failed"
            if error.kind not in tally.failures:
                least = minimised(target, error, folder)
                tally.failures[error.kind] = target.name, str(number), least
        took = time.process_time() - started
        tally.ends[target.name, end] += 1
        tally.spent[target.name] += int(took * 1_000_000)
        tally.slowest[target.name] = max(took, tally.slowest.get(target.name, 0.0))


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + MEMORY, hard))


def _joined(tallies: list[Tally]) -> Tally:
    whole = Tally()
    for one in tallies:
        whole.ends += one.ends
        whole.spent += one.spent
        whole.failures = {**one.failures, **whole.failures}
        for name, took in one.slowest.items():
            whole.slowest[name] = max(took, whole.slowest.get(name, 0.0))
    return whole


def _table(tally: Tally) -> str:
    lines = [
        "| file | inputs | read | refused | failed | ms each | slowest s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in sorted(tally.slowest):
        ends = [tally.ends[name, end] for end in ("read", "refused", "failed")]
        each = tally.spent[name] / sum(ends) / 1000
        cells = [name, sum(ends), *ends, f"{each:.1f}", f"{tally.slowest[name]:.2f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
