"""What confinement costs: the start of verbs and of the child processes of a run, with and without, in one run.

    python benchmarks/confinement.py [--times 5] [--model FILE.gguf]

Both ways take turns, so that a busy machine slows both alike; the table shows medians and their ratio. A verb runs in a
process of its own, with compiled modules, up to the end of its first stage; without confinement it is the same command
in a process that takes this kernel for one that offers nothing. The children are those of a quickstart: a Python that
does nothing, and one that imports torch, started as the converter is. `--model` adds the verbs that ask a model.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from timed_starts import ROOT, environment

from engine.process import start as processes
from engine.process.confine import available
from engine.process.policies import rights_of

COMMAND = "import sys; from engine.cli.main import main; sys.exit(main())"
UNCONFINED = (
    "from engine.process import confine; confine.available = lambda: confine.Available(); "
    + COMMAND
)
RECIPE = ROOT / "recipes" / "quickstart.yaml"
VERBS: Mapping[str, Sequence[str]] = {
    "validate": ("validate", str(RECIPE)),
    "plan": ("plan", str(RECIPE)),
    "data": ("data", str(RECIPE), "--no-tokens", "--unconfined"),
    "run --until data": ("run", str(RECIPE), "--until", "data", "--quiet", "--unconfined"),
}
ASKING: Mapping[str, Sequence[str]] = {"try": ("try", "MODEL", "a text")}
CHILDREN = {"a child that does nothing": "pass", "a child that imports torch": "import torch"}


def main() -> int:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="of each way (default: 5)")
    parser.add_argument("--model", type=Path, help="a GGUF file beside its task.json")
    options = parser.parse_args()
    print(
        f"{available().words}; {options.times} of each way, in turns, after one that is not counted\n"
    )
    print("| what starts | without s | with s | ratio | more s |")
    print("|---|---|---|---|---|")
    asking = ASKING if options.model else {}
    with tempfile.TemporaryDirectory() as compiled:
        for name, words in {**VERBS, **asking}.items():
            given = [str(options.model) if word == "MODEL" else word for word in words]
            _row(f"`recipe {name}`", partial(_verb, given, environment(compiled)), options.times)
    with tempfile.TemporaryDirectory() as folder:
        for name, code in CHILDREN.items():
            file = Path(folder) / f"{len(code)}.py"
            file.write_text(code, encoding="utf-8")
            _row(name, partial(_child, file), options.times)
    return 0


def _row(name: str, measured: Callable[[bool], float], times: int) -> None:
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(times + 1):
        for way, seconds in found.items():
            seconds.append(measured(way))
    without, confined = (statistics.median(found[way][1:]) for way in found)
    ratio, more = confined / without, confined - without
    print(f"| {name} | {without:.3f} | {confined:.3f} | {ratio:.3f} | {more:+.3f} |", flush=True)


def _verb(words: Sequence[str], variables: Mapping[str, str], is_confined: bool) -> float:  # noqa: FBT001 - one of two ways
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-P", "-c", COMMAND if is_confined else UNCONFINED, *words],
            cwd=folder,
            env={**variables, "XDG_STATE_HOME": f"{folder}/state"},
            capture_output=True,
            check=False,
        )
        seconds = time.perf_counter() - started
    if ended.returncode != 0:
        raise SystemExit(ended.stderr.decode())
    return seconds


def _child(file: Path, is_confined: bool) -> float:  # noqa: FBT001 - one of two ways
    command = processes.script(file)
    rights = rights_of(command, reads=(file,)) if is_confined else None
    started = time.perf_counter()
    with (
        processes.working_folder() as folder,
        processes.start(
            command,
            folder=folder,
            variables=processes.environment(),
            out=processes.DEVNULL,
            errors=processes.DEVNULL,
            rights=rights,
        ) as child,
    ):
        if child.wait() != 0:
            raise SystemExit(f"{file.read_text()}: the child failed")
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
