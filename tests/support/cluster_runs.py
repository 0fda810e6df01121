"""A tiny project that is run on several machines, each of which is this one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.backends.trainer_state import checkpoints
from engine.files import digests
from support.paths import ROOT
from support.pico import make_pico_model
from support.processes import second_machines_trainer
from support.project import Outcome, Project, write_project
from support.run_once import RunOnce, run_once

WEIGHTS = "adapter_model.safetensors"
WAIT_SECONDS = 400.0
TIMED = ("train.log", "training.json", "usage.json")
"""Files that hold times, which no two trainings share."""

NONE: Mapping[str, str] = {}

type Results = dict[str, tuple[str, list[tuple[str, str]]]]


def pico_project(folder: Path, compute: str, variables: Mapping[str, str]) -> Project:
    """A recipe of a pico model with `compute.yaml` beside it, run by processes of their own with `variables`."""

    folder.mkdir(exist_ok=True)
    write_project(folder, folder)
    (folder / "base").unlink()
    make_pico_model(folder / "base")
    (folder / "compute.yaml").write_text(compute, encoding="utf-8")
    project = project_in(folder, variables)
    _with_batches_to_share(project)
    return project


def project_in(folder: Path, variables: Mapping[str, str] = NONE) -> Project:
    """A project that is there, run by processes of their own with `variables`."""

    def run(*words: str) -> Outcome:
        done = started(folder, variables, *words)
        out, errors = done.communicate(timeout=WAIT_SECONDS)
        return Outcome(code=done.returncode, out=out, err=errors)

    return Project(folder=folder, run=run)


def _with_batches_to_share(project: Project) -> None:
    project.edit(
        splits__train=64, baselines=["majority"], method__micro_batch_size=4, method__epochs=3
    )


def alone() -> RunOnce:
    """The whole run of that project without `compute.yaml`, in this process; done once."""
    return run_once("alone", _with_batches_to_share)


def evaluated_once() -> RunOnce:
    """A run up to the evaluation, with its model in the project: nothing outside of it has to be allowed."""
    return run_once("before others at once", _in_one_folder, "--until", "evaluate")


def others_in_turn() -> Results:
    """What that project holds once its seeds and the points of its curve were trained one after the other."""
    done = run_once("others in turn", further_trainings, "--until", "seeds", start=evaluated_once())
    assert done.outcome.code == 0, done.outcome.err
    return results(done.folder)


def _in_one_folder(project: Project) -> None:
    base = project.folder / "base"
    model = base.resolve()
    base.unlink()
    shutil.copytree(model, base)


def further_trainings(project: Project) -> None:
    """Ask for two seeds and a learning curve besides."""
    project.edit(learning_curve=True, method__seeds=[2, 3])


def started(folder: Path, variables: Mapping[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine", *words],
        cwd=folder,
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def on(name: str) -> tuple[str, ...]:
    """The words that name a profile."""
    return ("--on", name, "--compute", "compute.yaml")


def kill_second_machine(
    folder: Path,
    process: subprocess.Popen[str],
    *,
    found: Callable[[], int] = second_machines_trainer,
    saved: int = 0,
) -> None:
    """Kill what is `found`, the second machine's process, once the training has so many whole checkpoints."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        logs = folder.glob(".recipe/scratch/*/events.1.jsonl")
        if any(
            '"start"' in path.read_text(encoding="utf-8")
            and sum(map(_is_whole, checkpoints(path.parent / "output"))) >= saved
            for path in logs
        ):
            os.kill(found(), signal.SIGKILL)
            return
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate()[1])


def _is_whole(checkpoint: tuple[int, Path]) -> bool:
    """Say whether every process has saved its part: the digests are written behind all of them."""
    return (checkpoint[1] / digests.FILE).is_file()


def adapters(folder: Path) -> list[bytes]:
    """The weights of all adapters of a project's store."""
    store = folder / ".recipe" / "store"
    return [path.read_bytes() for path in sorted(store.rglob(f"adapter/{WEIGHTS}"))]


def results(folder: Path) -> Results:
    """Stage, and name and digest of each file, of every result in the store, by key."""
    found = {}
    for path in (folder / ".recipe" / "store").glob("*/*/artifact.json"):
        fields = json.loads(path.read_text(encoding="utf-8"))
        files = [
            (one["name"], one["sha256"]) for one in fields["files"] if one["name"] not in TIMED
        ]
        found[fields["key"]] = fields["stage"], files
    return found
