"""Layers counted from an end, and the weights that are theirs."""

from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from engine.errors import StageError
from engine.runtime.training.parts import (
    counted,
    freeze_but,
    layer_count,
    linear_names,
    parameters_of,
)

SIZES = {"vocab_size": 32, "pad_token_id": 0}
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 3},
    "gpt2": {"n_embd": 8, "n_layer": 3, "n_head": 2},
    "opt": {"hidden_size": 8, "ffn_dim": 16, "num_hidden_layers": 3, "word_embed_proj_dim": 8},
}
HEADS = {"num_attention_heads": 2}
BLOCKS = {"llama": "model.layers", "gpt2": "transformer.h", "opt": "model.decoder.layers"}


def model(name: str, *, tied: bool = True) -> Any:
    heads = {} if name == "gpt2" else HEADS
    config = AutoConfig.for_model(name, **SIZES, **MODELS[name], **heads, tie_word_embeddings=tied)
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    ("numbers", "expected"), [([-2, -1], [1, 2]), ([0, 2], [0, 2]), ([-3], [0]), ([], [])]
)
def test_numbers_below_zero_count_from_the_end(numbers: list[int], expected: list[int]) -> None:
    assert counted(numbers, 3) == expected


@pytest.mark.parametrize("number", [3, -4])
def test_a_layer_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(StageError) as refused:
        counted([0, number], 3)

    assert [problem.code for problem in refused.value.problems] == ["X730"]


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_of_a_layer_are_found_in_every_family(name: str) -> None:
    found = model(name)

    names = parameters_of(found, ["layers.-1"])

    assert layer_count(found.config) == 3
    assert names == [
        one for one, _ in found.named_parameters() if one.startswith(f"{BLOCKS[name]}.2.")
    ]


@pytest.mark.parametrize(("tied", "count"), [(True, 1), (False, 2)])
def test_embeddings_are_those_of_the_output_too(*, tied: bool, count: int) -> None:
    assert len(parameters_of(model("llama", tied=tied), ["embeddings"])) == count


def test_what_is_not_named_is_frozen() -> None:
    found = model("llama")

    freeze_but(found, ["layers.1"])

    loose = [name for name, weight in found.named_parameters() if weight.requires_grad]
    assert loose
    assert all(name.startswith("model.layers.1.") for name in loose)


def test_all_linear_layers_but_the_output_are_named() -> None:
    found = linear_names(model("llama", tied=False).config)

    assert found == sorted(
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
