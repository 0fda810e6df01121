"""Trainings that are stopped, and what they leave damaged; a part of `support.fault_table`."""

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.artifacts.stage import StageContext
from engine.files.digests import FILE as DIGESTS
from engine.values import replace
from support.damages import zero_the_middle
from support.project import Project
from support.seeded_faults import TRAINING, Fault, Patch, Prepare, Seed, both, cut

WEIGHTS, OPTIMIZER, STATE = "adapter_model.safetensors", "optimizer.pt", "trainer_state.json"


class Impatient:
    """Progress of a training that presses Ctrl-C."""

    def __init__(self, after: int) -> None:
        self._after = after

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        if done >= self._after:
            signal.raise_signal(signal.SIGINT)

    def note(self, text: str) -> None:
        """Say nothing."""


def stopped(after: int) -> Prepare:
    """Train, and stop behind a step."""

    def prepare(project: Project, patch: Patch) -> None:
        from engine.stages import train

        real = train.run

        def run(context: StageContext) -> None:
            real(replace(context, progress=Impatient(after)))

        with patch.context() as now:
            now.setattr(train, "run", run)
            _stop(project)

    return prepare


def stopped_in(place: str) -> Prepare:
    """Train, and stop when a function is called."""

    def prepare(project: Project, patch: Patch) -> None:
        def stop(*_: Any, **__: Any) -> None:
            signal.raise_signal(signal.SIGINT)

        with patch.context() as now:
            now.setattr(place, stop)
            _stop(project)

    return prepare


def _stop(project: Project) -> None:
    words = ("run", str(project.recipe), "--store", str(project.folder / ".recipe"))
    outcome = project.run(*words, "--until", "train")
    assert outcome.code == 130, outcome.err


def checkpoints_of(project: Project) -> list[Path]:
    """The checkpoints of the training that was stopped, by step."""
    found = (project.folder / ".recipe" / "scratch").glob("*/output/checkpoint-*")
    return sorted(found, key=lambda one: int(one.name.rpartition("-")[2]))


def damaged(change: Callable[[Path], object], last: int = 1) -> Seed:
    """Return a seed of the last checkpoints of a training that was stopped."""

    def prepare(project: Project, _: Patch) -> None:
        for checkpoint in checkpoints_of(project)[-last:]:
            change(checkpoint)

    return going_on(both(stopped(13), prepare), "is set aside")


def going_on(prepare: Prepare, code: str) -> Seed:
    """Return a seed of a training that goes on, and ends with the weights of one that was never stopped."""
    return Seed(
        prepare=prepare, code=code, where=TRAINING, until="train", again="train", is_note=True
    )


def zeros(name: str) -> Callable[[Path], None]:
    """Put zeros over the middle third of a file."""

    def change(checkpoint: Path) -> None:
        zero_the_middle(checkpoint / name)

    return change


def of_another_step(checkpoint: Path) -> None:
    """Let the state of a checkpoint count another step."""
    found = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    (checkpoint / STATE).write_text(json.dumps({**found, "global_step": 4}), encoding="utf-8")


def of_the_one_before(checkpoint: Path) -> None:
    """Give a checkpoint the weights of the one before."""
    before = next(one for one in checkpoint.parent.glob("checkpoint-*") if one != checkpoint)
    (checkpoint / WEIGHTS).write_bytes((before / WEIGHTS).read_bytes())


def linked(checkpoint: Path) -> None:
    """Put a link in the place of the weights, to where they now are."""
    elsewhere = (checkpoint / WEIGHTS).rename(checkpoint.parent.parent / WEIGHTS)
    (checkpoint / WEIGHTS).symlink_to(elsewhere)


OF_INTERRUPTIONS: Mapping[str, Fault] = {
    "F32": Fault(
        name="a checkpoint that is not whole",
        seeds={
            "an optimizer that is cut short": damaged(lambda one: cut(one / OPTIMIZER, 0.5)),
            "no optimizer": damaged(lambda one: (one / OPTIMIZER).unlink()),
            "zeros in the middle of its weights": damaged(zeros(WEIGHTS)),
            "weights of the checkpoint before": damaged(of_the_one_before),
            "a link in the place of its weights": damaged(linked),
            "a state of another step": damaged(of_another_step),
            "digests that are damaged": damaged(zeros(DIGESTS)),
            "no digests": damaged(lambda one: (one / DIGESTS).unlink()),
            "digests that leave the weights out": damaged(
                lambda one: (one / DIGESTS).write_text(
                    json.dumps({"schema": "digests.v1", "files": {}}), encoding="utf-8"
                )
            ),
            "none that is whole": damaged(zeros(OPTIMIZER), last=9),
        },
        missed="a checkpoint whose bytes and digests were both written by somebody else",
    ),
    "F40": Fault(
        name="a run that was stopped while it went on",
        seeds={
            "behind another step": going_on(both(stopped(6), stopped(15)), "continuing from step"),
            "at the step where it had been stopped": going_on(
                both(stopped(13), stopped(11), stopped(11)), "continuing from step"
            ),
            "before it took a step": going_on(
                both(stopped(13), stopped_in("engine.runtime.training.sft.train")),
                "continuing from step",
            ),
            "while a checkpoint was written": going_on(
                both(stopped(6), stopped_in("engine.runtime.training.callbacks.write_digests")),
                "is set aside",
            ),
            "while one was set aside": going_on(
                both(
                    damaged(zeros(OPTIMIZER)).prepare,
                    stopped_in("engine.backends.trainer_state.set_aside"),
                ),
                "is set aside",
            ),
        },
    ),
}
