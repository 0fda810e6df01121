"""Settings of trained models that are not those of their training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.environment import Device
from engine.errors import Severity
from engine.runtime.models.reading_check import (
    Reader,
    _profile,
    likelier_exchanges,
    likelier_swaps,
    reading_problems,
)
from support.clean_models import MODELS, make_clean_model
from support.pico import make_pico_model
from support.trained_pico import LAYERS, make_trained_pico

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


@pytest.mark.parametrize("theta", [1e3, 1e5, 1e6])
def test_another_base_of_positions_is_named_with_a_better_one(tmp_path: Path, theta: float) -> None:
    rope = {"rope_theta": theta, "rope_type": "default"}

    assert "better with `rope_theta: " in found(configured(tmp_path, rope_parameters=rope))[0][1]


def test_so_are_positions_that_were_stretched(tmp_path: Path) -> None:
    rope = {"rope_theta": 1e4, "rope_type": "linear", "factor": 32.0}

    assert "with `rope_type: default`" in found(configured(tmp_path, rope_parameters=rope))[0][1]


def test_layers_in_each_others_place_are_named(tmp_path: Path) -> None:
    severity, message = found(changed(tmp_path, exchanged(0, 1)))[0]

    assert severity == Severity.ERROR.value
    assert "with layers 0 and 1 in each other's place" in message


def test_halves_in_the_order_of_another_format_are_named(tmp_path: Path) -> None:
    severity, message = found(changed(tmp_path, other_halves))[0]

    assert severity == Severity.ERROR.value
    assert "rotated halves" in message


def test_other_heads_are_named(tmp_path: Path) -> None:
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2 * HEAD}

    assert "with 4 attention heads of 16" in found(configured(tmp_path, **heads))[0][1]


def test_a_trained_model_that_predicts_nothing_is_a_warning(tmp_path: Path) -> None:
    def shuffle(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"].roll(1, 0)

    severity, message = found(changed(tmp_path, shuffle))[0]

    assert severity == Severity.WARNING.value
    assert "predicts ordinary English text with" in message


@pytest.mark.parametrize("name", MODELS)
def test_weights_that_nothing_has_trained_are_not_asked(tmp_path: Path, name: str) -> None:
    assert found(make_clean_model(tmp_path, name)) == []


def test_packed_weights_are_not_asked(tmp_path: Path) -> None:
    assert found(configured(tmp_path, quantization_config={"quant_method": "fp8"})) == []


def test_the_usual_order_is_the_likeliest() -> None:
    def layer(number: int) -> dict[str, torch.Tensor]:
        steps = torch.arange(8.0)
        return {"norm": torch.exp(torch.cos(steps + number / 4)), "more": torch.ones(4, 8)}

    layers = [layer(number) for number in range(6)]
    layers[1], layers[4] = layers[4], layers[1]

    assert likelier_swaps(layers, 8)[0] == (1, 4)
    assert likelier_swaps([layer(number) for number in range(6)], 8) == []
    assert likelier_swaps(layers[:2], 8) == []


def gradual(number: int) -> dict[str, torch.Tensor]:
    """A layer whose matrices change slowly from one to the next, each in its own way."""

    def stream(of: int) -> torch.Tensor:
        return torch.exp(torch.cos(torch.arange(8.0) * of + number / 6))

    rows = torch.linspace(1.0, 2.0, 12).unsqueeze(1)
    return {
        "gate": rows * stream(2),
        "up": rows * stream(3),
        "q_proj": torch.linspace(1.0, 9.0, 8).unsqueeze(1) * stream(1),
        "first_norm": stream(4),
        "second_norm": stream(5),
    }


@pytest.mark.parametrize(
    ("one", "two"),
    [("gate", "up"), ("first_norm", "second_norm"), ("q_proj", "q_proj")],
)
def test_a_matrix_that_stands_out_is_tried_elsewhere(one: str, two: str) -> None:
    layers = [gradual(number) for number in range(6)]
    sound = [*map(dict, layers)]
    odd = layers[3]
    odd[one], odd[two] = (odd[one].T, odd[one].T) if one == two else (odd[two], odd[one])

    assert likelier_exchanges(layers, 8)[0] == (3, one, two)
    assert likelier_exchanges(sound, 8) == []
    assert likelier_exchanges(sound[:2], 8) == []


def test_layers_of_different_kinds_are_not_compared() -> None:
    layers = [{"norm": torch.ones(8 if number else 4)} for number in range(LAYERS)]

    assert likelier_swaps(layers, 8) == []
    assert likelier_exchanges(layers, 8) == []


def test_a_tiny_model_has_not_been_trained(tmp_path: Path) -> None:
    assert found(make_pico_model(tmp_path)) == []


def test_other_ways_are_asked_with_weights_where_the_model_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stands for a GPU: whatever is moved there is no longer the tensor that it was.
    elsewhere = Device(kind="meta", name="test", memory_bytes=1, cores=1, bf16=False)
    monkeypatch.setattr(Reader, "_first_nats", lambda _: torch.zeros(1))

    reader = Reader(make_trained_pico(tmp_path), device=elsewhere, precision="fp32")

    assert {weight.device.type for weight in reader._weights.values()} == {"meta"}
    profiles = [_profile(weight, size=1) for weight in reader._weights.values()]
    assert {profile.device.type for profile in profiles} == {"meta"}
