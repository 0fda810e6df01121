"""How long a light command takes from a cold start, beside Axolotl's and beside the bare imports.

    python benchmarks/cold_start.py

Every command runs as processes of its own, in an empty store, one after the other; the table shows the
median of their wall clock. The files are in the system's cache after the first, which is not counted.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUICKSTART = "recipes/quickstart.yaml"
GOAL_SECONDS = 0.35
VERBS = {
    "recipe --help": ["--help"],
    "recipe validate": ["validate", QUICKSTART],
    "recipe plan": ["plan", QUICKSTART],
    "recipe compile": ["compile", QUICKSTART],
}
OWN_RUNS, PEER_RUNS = 10, 3
FLOOR = 'python -c "import yaml, jsonschema, rich"'
PEER = "axolotl --help"

Row = tuple[str, int, list[float]]


def main() -> None:
    """Measure and print one table."""
    rows = [_measure(FLOOR, [sys.executable, "-c", "import yaml, jsonschema, rich"], OWN_RUNS)]
    rows += [
        _measure(name, [sys.executable, "-m", "engine", *words], OWN_RUNS)
        for name, words in VERBS.items()
    ]
    axolotl = shutil.which("axolotl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if axolotl:
        rows.append(_measure(PEER, [axolotl, "--help"], PEER_RUNS))
    medians = {name: statistics.median(seconds) for name, _, seconds in rows}
    print(
        f"| command | processes | median s | fastest to slowest s | ratio to bare imports | ratio of {PEER} to it |"
    )
    print("|---|---|---|---|---|---|")
    for name, runs, seconds in rows:
        peer = f"{medians[PEER] / medians[name]:.1f}" if axolotl else "not installed"
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        ratio = medians[name] / medians[FLOOR]
        print(f"| `{name}` | {runs} | {medians[name]:.3f} | {spread} | {ratio:.2f} | {peer} |")
    slow = [name for name in VERBS if medians[name] >= GOAL_SECONDS]
    print(
        f"\ngoal: under {GOAL_SECONDS} s each: {'missed by ' + ', '.join(slow) if slow else 'met'}"
    )
    print(f"{_cores()} cores, Python {sys.version.split()[0]}")
    print("again: python benchmarks/cold_start.py")


def _measure(name: str, command: list[str], runs: int) -> Row:
    return name, runs, [_once(command) for _ in range(runs + 1)][1:]


def _once(command: list[str]) -> float:
    """Wall clock of one process, in seconds; a command that fails is not measured."""
    with tempfile.TemporaryDirectory() as folder:
        words = list(command)
        if "plan" in words or "compile" in words:
            words += ["--store", folder]
        environment = {**os.environ, "AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}
        started = time.perf_counter()
        subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, check=True)
        return time.perf_counter() - started


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0


if __name__ == "__main__":
    main()
