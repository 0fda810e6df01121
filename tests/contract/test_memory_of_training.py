"""What a training in this process leaves in memory."""

import gc
from pathlib import Path

import pytest

from engine.backends import load_backend
from support.launches import make_launch, make_recipe

pytestmark = pytest.mark.thorough


def test_no_model_of_a_training_stays_in_memory_behind_it(tmp_path: Path, pico_model: Path) -> None:
    launch = make_launch(make_recipe("trl", epochs=1.0), tmp_path, pico_model)
    before = models()

    gc.disable()
    try:
        load_backend("trl").train(launch)
        left = models() - before
    finally:
        gc.enable()

    assert left == set()


def models() -> set[int]:
    """The models that are in memory."""
    import torch

    return {
        id(one)
        for one in gc.get_objects()
        if issubclass(type(one), torch.nn.Module) and "ForCausalLM" in type(one).__name__
    }
