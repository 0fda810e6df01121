"""A checkpoint with other numbers than the trainer's is named, whatever it is of."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from engine.runtime.training import saved_weights
from engine.runtime.training.saved_weights import (
    ADAPTER_FILES,
    MOST,
    chosen_steps,
    keep_adapter,
    saved_otherwise,
)

Tensors = dict[str, torch.Tensor]


def adapted(**given: Any) -> Any:
    """A small model with an adapter whose both halves have numbers."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
    found: Any = get_peft_model(model, LoraConfig(r=2, target_modules=["0", "1"], **given))
    for name, weight in found.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    return found


def saved(model: Any, folder: Path, change: Callable[[Tensors], object] = lambda _: None) -> Any:
    """What is found of a checkpoint whose tensors were changed."""
    model.save_pretrained(folder)
    (file,) = folder.glob("*.safetensors")
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    return saved_otherwise(folder, model)


@pytest.mark.parametrize("given", [{}, {"use_dora": True}, {"use_rslora": True}], ids=str)
def test_an_adapter_as_it_was_trained_is_not_named(given: Any, tmp_path: Path) -> None:
    assert saved(adapted(**given), tmp_path) is None


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda tensors: tensors[min(tensors)].mul_(1.0001), 1),
        (lambda tensors: tensors[min(tensors)].copy_(tensors[min(tensors)].bfloat16()), 1),
        (lambda tensors: tensors[min(tensors)].copy_(tensors[min(tensors)].flip(0)), 1),
        (lambda tensors: [tensors.popitem() for _ in range(2)], 2),
        (lambda tensors: tensors.update({name: one.half() for name, one in tensors.items()}), 4),
    ],
    ids=["scaled", "rounded", "turned round", "not saved", "another type"],
)
def test_an_adapter_with_other_tensors_is_named(
    change: Callable[[Tensors], object], count: int, tmp_path: Path
) -> None:
    found = saved(adapted(), tmp_path, change)

    assert (found["count"], found["of"]) == (count, 4)


def test_of_a_whole_model_the_frozen_parts_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_weights, "LARGE", 100)
    model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Linear(64, 8))
    model[1].requires_grad_(requires_grad=False)
    tensors = {name: one.clone() for name, one in model.state_dict().items()}
    tensors["1.weight"] += 1
    save_file(tensors, tmp_path / "model-00001-of-00001.safetensors")

    assert saved_otherwise(tmp_path, model) is None
    tensors["0.weight"][-1] += 1
    save_file(tensors, tmp_path / "model-00001-of-00001.safetensors")
    assert saved_otherwise(tmp_path, model) == {"names": ["0.weight"], "count": 1, "of": 2}


# Which checkpoints are kept, and that keeping them outlives the checkpoint.
@pytest.mark.parametrize(
    ("every", "steps", "chosen"),
    [
        (25, 50, (25, 50)),
        (25, 60, (25, 50, 60)),
        (50, 50, (50,)),
        (60, 50, (50,)),
        (1, 8, (1, 2, 3, 4, 5, 6, 7, 8)),
    ],
)
def test_few_checkpoints_are_all_kept(every: int, steps: int, chosen: tuple[int, ...]) -> None:
    assert chosen_steps(every=every, steps=steps) == chosen


@pytest.mark.parametrize("steps", [90, 100, 1000, 1003])
def test_of_many_some_are_kept_evenly_with_first_and_last(steps: int) -> None:
    chosen = chosen_steps(every=10, steps=steps)
    gaps = [later - earlier for earlier, later in itertools.pairwise(chosen)]

    assert len(chosen) == MOST
    assert (chosen[0], chosen[-1]) == (10, steps)
    assert max(gaps[:-1]) - min(gaps[:-1]) <= 10


def test_a_kept_adapter_outlives_its_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    for name in ADAPTER_FILES:
        (checkpoint / name).write_text(name, encoding="utf-8")

    keep_adapter(checkpoint, tmp_path / "adapters" / "3")
    keep_adapter(checkpoint, tmp_path / "adapters" / "3")
    shutil.rmtree(checkpoint)

    assert [(tmp_path / "adapters" / "3" / name).read_text() for name in ADAPTER_FILES] == list(
        ADAPTER_FILES
    )


def test_a_checkpoint_of_full_training_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-3").mkdir()

    keep_adapter(tmp_path / "checkpoint-3", tmp_path / "adapters" / "3")

    assert not (tmp_path / "adapters").exists()
