"""Trained weights are believed only when they are finite, paired and moved."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import StageError
from engine.runtime.training.saved_weights import adapter_norm, model_norm

A, B = "base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight"


def _adapter(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    config = {"r": 2, "lora_alpha": 4}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def test_the_norm_is_that_of_the_whole_delta(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(2, 5, generator=generator)
    b = torch.randn(3, 2, generator=generator)

    norm = adapter_norm(_adapter(tmp_path, {A: a, B: b}))

    assert norm == pytest.approx(float(torch.linalg.matrix_norm(2.0 * b @ a)), rel=1e-5)


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ({A: torch.ones(2, 5), B: torch.zeros(3, 2)}, "B416"),
        ({A: torch.full((2, 5), math.nan), B: torch.ones(3, 2)}, "B415"),
        ({A: torch.ones(2, 5), B: torch.full((3, 2), math.inf)}, "B415"),
        ({A: torch.ones(2, 5)}, "B417"),
        ({B: torch.ones(3, 2)}, "B417"),
        ({A: torch.ones(2, 5), B: torch.ones(3, 2), "other": torch.ones(1)}, "B417"),
    ],
)
def test_an_adapter_that_learned_nothing_or_is_damaged_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], code: str
) -> None:
    with pytest.raises(StageError) as refused:
        adapter_norm(_adapter(tmp_path, tensors))

    assert [problem.code for problem in refused.value.problems] == [code]


def test_the_norm_of_full_training_is_the_distance_from_the_base(tmp_path: Path) -> None:
    base, model = tmp_path / "base", tmp_path / "model"
    for folder, value in ((base, 1.0), (model, 3.0)):
        folder.mkdir()
        save_file({"w": torch.full((2, 2), value)}, folder / "model.safetensors")

    assert model_norm(model, base) == pytest.approx(4.0)
    with pytest.raises(StageError):
        model_norm(base, base)
