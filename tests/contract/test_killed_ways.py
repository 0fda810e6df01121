"""SIGKILL within a training of every way: the next one goes on from a checkpoint and ends in the same bytes.

Whole runs, and kills elsewhere, are in `tests/functional/resume`; labelling and synthesis too.
"""

import multiprocessing
import os
import re
import signal
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from engine.backends import load_backend
from engine.backends.base import Launch, Trained
from engine.files.digests import sha256_of
from engine.values import replace
from support.launches import RecordedProgress
from support.ways import WAYS, way_launch

pytestmark = pytest.mark.thorough
TRL = [name for name, way in WAYS.items() if "trl" in way.trains]


@dataclass
class Killing(RecordedProgress):
    """Kills its process once a step is done."""

    step: int = 0

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        if done >= self.step:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def forking() -> ForkServerContext:
    """Processes that are forked from one that has imported what trains, and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine.runtime.training.sft", "trl", __name__])
    return context


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", TRL)
def test_a_killed_training_ends_in_the_same_weights(
    name: str, tmp_path: Path, pico_model: Path, forking: ForkServerContext
) -> None:
    whole = _train(_launch(name, tmp_path / "whole", pico_model))
    launch = _launch(name, tmp_path / "killed", pico_model)
    dying = replace(launch, progress=Killing(step=whole.steps))
    child = forking.Process(target=_train, args=(dying,))
    child.start()
    child.join()

    assert child.exitcode == -signal.SIGKILL
    resumed = _train(launch)

    assert resumed.resumed_from_step
    assert resumed.steps == whole.steps
    assert _weights(resumed) == _weights(whole)


def _launch(name: str, folder: Path, base: Path) -> Launch:
    """Compile a training that leaves a checkpoint after each step."""
    launch = way_launch("trl", WAYS[name], folder, base)
    return replace(
        launch, config=re.sub(r"\b(save|eval)_steps: \d+", r"\1_steps: 1", launch.config)
    )


def _train(launch: Launch) -> Trained:
    return load_backend("trl").train(launch)


def _weights(trained: Trained) -> dict[str, str]:
    return {file.name: sha256_of(file) for file in trained.folder.glob("*.safetensors")}
