"""Settings of trained models that are not those of their training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.environment import Device
from engine.errors import Severity
from engine.runtime.models.base_check import reading_problems
from support.clean_models import MODELS, make_clean_model
from support.pico import make_pico_model
from support.trained_pico import make_trained_pico

pytestmark = pytest.mark.thorough

CPU = Device(kind="cpu", name="test", memory_bytes=1, cores=1, bf16=False)
HEAD = 16
"""Numbers of an attention head of the tiny model."""


def found(folder: Path) -> list[tuple[str, str]]:
    problems = [*reading_problems(folder, device=CPU, precision="fp32")]
    assert {one.code for one in problems} <= {"X846"}
    return [(one.severity.value, one.message) for one in problems]


def configured(folder: Path, **changes: Any) -> Path:
    make_trained_pico(folder)
    file = folder / "config.json"
    fields = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**fields, **changes}), encoding="utf-8")
    return folder


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    make_trained_pico(folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return folder


def exchanged(one: int, two: int) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if f".layers.{one}." in name]:
            other = name.replace(f".{one}.", f".{two}.")
            tensors[name], tensors[other] = tensors[other].clone(), tensors[name].clone()

    return change


def other_halves(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if "q_proj" in name or "k_proj" in name]:
        weight = tensors[name]
        heads = weight.view(-1, HEAD // 2, 2, weight.shape[1])
        tensors[name] = heads.transpose(1, 2).reshape(weight.shape).contiguous()


def test_a_model_that_is_read_as_it_was_trained_passes(tmp_path: Path) -> None:
    assert found(make_trained_pico(tmp_path)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}},
        {"rope_parameters": {"rope_theta": 1e4, "rope_type": "linear", "factor": 32.0}},
        {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2 * HEAD},
    ],
)
def test_other_settings_than_those_of_training_are_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert found(configured(tmp_path, **changes))[0][0] == Severity.ERROR.value


def shuffled(tensors: dict[str, torch.Tensor]) -> None:
    name = "model.embed_tokens.weight"
    tensors[name] = tensors[name].roll(1, 0)


@pytest.mark.parametrize("change", [exchanged(0, 1), other_halves, shuffled])
def test_weights_in_another_order_predict_nothing(
    tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    assert "predicts ordinary English text with" in found(changed(tmp_path, change))[0][1]


@pytest.mark.parametrize("name", MODELS)
def test_weights_that_nothing_has_trained_are_not_asked(tmp_path: Path, name: str) -> None:
    assert found(make_clean_model(tmp_path, name)) == []


def test_packed_weights_are_not_asked(tmp_path: Path) -> None:
    assert found(configured(tmp_path, quantization_config={"quant_method": "fp8"})) == []


def test_a_tiny_model_has_not_been_trained(tmp_path: Path) -> None:
    assert found(make_pico_model(tmp_path)) == []
