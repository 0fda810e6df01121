"""How long a light command takes from a cold start, beside Axolotl's and beside the bare imports.

    python benchmarks/cold_start.py

Every command runs as processes of its own, in an empty store and with compiled modules, and the commands take
turns; the table shows the medians of their wall clock and of their processor time. The files are in the
system's cache after the first round, which is not counted.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from timed_starts import ROOT, Spent, environment, time_process

QUICKSTART = "recipes/quickstart.yaml"
MOST = {"recipe --help": 1.0, "recipe validate": 3.0, "recipe plan": 3.5}
"""Processor time, as multiples of the bare imports."""
ENGINE = [sys.executable, "-m", "engine"]
VERBS = {
    "recipe --help": ["--help"],
    "recipe validate": ["validate", QUICKSTART],
    "recipe plan": ["plan", QUICKSTART, "--store", "STORE"],
    "recipe compile": ["compile", QUICKSTART, "--store", "STORE"],
    "recipe diff": ["diff", QUICKSTART, "recipes/ticket-topics.yaml", "--store", "STORE"],
}
OWN_RUNS, PEER_RUNS = 10, 3
FLOOR = 'python -c "import yaml, jsonschema, rich"'
PEER = "axolotl --help"


def main() -> None:
    """Measure and print one table."""
    ours = {name: [*ENGINE, *words] for name, words in VERBS.items()}
    rows = _measure(
        {FLOOR: [sys.executable, "-c", "import yaml, jsonschema, rich"], **ours}, OWN_RUNS
    )
    axolotl = shutil.which("axolotl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if axolotl:
        rows |= _measure({PEER: [axolotl, "--help"]}, PEER_RUNS)
    _show(rows)
    print("again: python benchmarks/cold_start.py")


def _show(rows: Mapping[str, Sequence[Spent]]) -> None:
    """Print the table, and whether the goal was met."""
    wall, cpu = (
        {name: statistics.median(one[at] for one in spent) for name, spent in rows.items()}
        for at in (0, 1)
    )
    heads = ["command", "processes", "median s", "fastest to slowest s", "CPU s"]
    heads += ["CPU, ratio to bare imports", f"ratio of {PEER} to it"]
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|")
    for name, spent in rows.items():
        peer = f"{wall[PEER] / wall[name]:.1f}" if PEER in wall else "not installed"
        clock = [one[0] for one in spent]
        spread = f"{min(clock):.3f} to {max(clock):.3f}"
        ratio = cpu[name] / cpu[FLOOR]
        print(
            f"| `{name}` | {len(spent)} | {wall[name]:.3f} | {spread} | {cpu[name]:.3f} | {ratio:.2f} | {peer} |"
        )
    slow = [name for name, most in MOST.items() if cpu[name] > most * cpu[FLOOR]]
    goal = ", ".join(f"{name} {most:g}" for name, most in MOST.items())
    print(
        f"\nmost times the bare imports: {goal}: {'missed by ' + ', '.join(slow) if slow else 'met'}"
    )
    print(f"{_cores()} cores, Python {sys.version.split()[0]}")


def _measure(commands: Mapping[str, Sequence[str]], runs: int) -> dict[str, list[Spent]]:
    rows: dict[str, list[Spent]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as compiled:
        variables = {**environment(compiled), "AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}
        for _ in range(runs + 1):
            for name, words in commands.items():
                with tempfile.TemporaryDirectory() as store:
                    command = [store if word == "STORE" else word for word in words]
                    rows[name].append(time_process(command, ROOT, variables))
    return {name: spent[1:] for name, spent in rows.items()}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0


if __name__ == "__main__":
    main()
