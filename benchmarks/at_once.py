"""Train further seeds one after the other, then two at a time, and compare wall time and results.

    PYTHONPATH=tests python benchmarks/at_once.py [--seeds 2] [--epochs 100] [--folder FOLDER [--prepare]]

A recipe of a random two-layer model, too small to fill two processors, is run up to its gate; a copy of it then
goes on with its seeds one after the other, another one with `--parallel 2`. Only the two are timed. With `--folder`
what comes before is kept there and found again; with `--prepare` nothing else is done. Ends with 1 where keys or bytes
differ, or the second takes more than 0.65 of the wall time of the first.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from support.cluster_runs import pico_project, project_in, results
from support.project import Outcome
from support.shared import open_shared_folder

WAYS = {"sequential": (), "parallel": ("--parallel", "2")}
MOST = 0.65


def main() -> int:
    """Run both, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--prepare", action="store_true")
    given = parser.parse_args()
    open_shared_folder()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        # The key that results are signed with: without it those of an earlier call are not used.
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        accepted = _accepted(folder / "accepted", given.epochs)
        return 0 if given.prepare else _compare(folder, accepted, given.seeds)


def _accepted(folder: Path, epochs: int) -> Path:
    """Return a project that is accepted so far; one that was ended before that goes on."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        project = project_in(folder)
    else:
        project = pico_project(folder, "compute: v1\nprofiles: {one: {}}\n", {})
        # One that learns the task fast enough to be refused, since it does not stop by itself, has no seeds.
        project.edit(method__epochs=epochs, method__evaluations_per_epoch=1)
        project.edit(method__learning_rate=1e-4)
    _refuse_failed(project.run("run", "recipe.yaml", "--until", "gate"))
    return folder


def _compare(folder: Path, accepted: Path, seeds: int) -> int:
    walls, found = {}, {}
    for name, words in WAYS.items():
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(accepted, place, symlinks=True)
        project = project_in(place)
        project.edit(method__seeds=list(range(2, 2 + seeds)))
        before, began = _processor(), time.monotonic()
        done = project.run("run", "recipe.yaml", "--until", "seeds", *words)
        walls[name] = time.monotonic() - began
        _refuse_failed(done)
        print(f"{name}: {walls[name]:.1f} s, {_processor() - before:.1f} CPU-s", flush=True)
        found[name] = results(place)
    share = walls["parallel"] / walls["sequential"]
    same = found["parallel"] == found["sequential"]
    print(
        f"{share:.2f} of the wall time; {'equal' if same else 'other'} results; load {os.getloadavg()[0]:.1f}"
    )
    return not same or share > MOST


def _refuse_failed(done: Outcome) -> None:
    if done.code != 0:
        raise SystemExit(done.err)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
