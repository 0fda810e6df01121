"""The arguments of TRL's trainers, of every class: the device is stated, whatever the precision."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, TrainingArguments, get_scheduler

from engine.errors import StageError
from engine.runtime.training.gradients import (
    counted,
    freeze_but,
    layer_count,
    linear_names,
    parameters_of,
    whole_on_gpu,
)
from engine.runtime.training.in_force import (
    other_decay,
    other_optimizer,
    rate_difference,
    setting_arguments,
)
from engine.runtime.training.preferences import TRAINERS
from engine.runtime.training.sft import Folders, SftArguments, arguments, train_on

KINDS = {"sft": SftArguments, **{loss: kind for loss, (_, kind) in TRAINERS.items()}}


@pytest.mark.parametrize("name", KINDS)
def test_bf16_on_a_cpu_is_asked_of_the_cpu(name: str, tmp_path: Path) -> None:
    (tmp_path / "validation.jsonl").touch()
    folders = Folders(rows=tmp_path, base_model=tmp_path, output=tmp_path, resume=None)

    made: Any = arguments({"precision": "bf16"}, folders, KINDS[name], device="cpu")
    with pytest.raises(TypeError, match="odd"):
        arguments({"odd": 1, "precision": "bf16"}, folders, KINDS[name], device="cpu")

    assert (made.use_cpu, made.bf16, made.dataloader_pin_memory) == (True, True, False)
    assert made.n_gpu <= 1


@pytest.mark.parametrize("name", KINDS)
def test_a_second_gpu_in_sight_changes_no_batch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself transformers takes all GPUs: batches double, steps halve."""
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda _: 2))
    (tmp_path / "validation.jsonl").touch()
    folders = Folders(rows=tmp_path, base_model=tmp_path, output=tmp_path, resume=None)
    config = {"precision": "fp32", "per_device_train_batch_size": 4}

    made: Any = arguments(config, folders, KINDS[name], device="cpu")

    assert (made.n_gpu, made.train_batch_size) == (1, 4)


@pytest.mark.parametrize("shard", [{}, {"fsdp": True}], ids=["one", "shard"])
def test_an_adapter_on_4_bit_weights_is_trained_in_32_bits(shard: dict[str, Any]) -> None:
    trainer = MagicMock()
    trainer.model = adapted(torch.bfloat16)

    train_on(trainer, {"adapter_precision": "fp32", **shard}, resume=None, report=lambda _: None)

    assert [one.dtype for one in trainer.model.parameters()] == [torch.bfloat16, torch.float32]


def adapted(dtype: torch.dtype) -> Any:
    """A frozen matrix of 16 bits and a trained one."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 4, False), torch.nn.Linear(4, 4, False))
    model.to(torch.bfloat16).requires_grad_(requires_grad=False)
    model[1].to(dtype).requires_grad_()
    model[1].register_forward_pre_hook(lambda one, given: given[0].to(one.weight.dtype))
    return model


# Weights are put on one device as a whole: what does not fit is an error, and not computed elsewhere.
@pytest.mark.parametrize(
    ("places", "has_gpu", "found"),
    [
        ("auto", True, {"": 0}),
        ("auto", False, "auto"),
        ({"": 3}, True, {"": 3}),
        (None, True, None),
    ],
)
def test_a_gpu_takes_all_of_a_model(
    monkeypatch: pytest.MonkeyPatch, places: Any, has_gpu: bool, found: Any
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)

    assert whole_on_gpu(places) == found


# Layers counted from an end, and the weights that are theirs.
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


# What a trainer is about to do is read off what it has made.
STEPS = 40


def arguments_of_in_force(folder: Path, **changes: Any) -> TrainingArguments:
    given = {
        "lr_scheduler_type": "cosine",
        "warmup_steps": 4,
        "learning_rate": 1e-3,
        "optim": "adamw_torch",
    }
    return TrainingArguments(output_dir=str(folder), use_cpu=True, **given, **changes)


def optimizer(kind: str = "AdamW", **changes: Any) -> Any:
    return getattr(torch.optim, kind)([torch.zeros(1, requires_grad=True)], lr=1e-3, **changes)


def scheduler(steps: int, name: str = "cosine") -> Any:
    return get_scheduler(name, optimizer(), num_warmup_steps=4, num_training_steps=steps)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (optimizer(weight_decay=0.0), ""),
        (SimpleNamespace(optimizer=optimizer(weight_decay=0.0)), ""),
        (optimizer("SGD"), "SGD"),
        (optimizer(betas=(0.5, 0.999)), "betas"),
        (optimizer(weight_decay=3.0), "weight_decay 3"),
    ],
    ids=["the same", "wrapped", "another", "other momenta", "decay"],
)
def test_an_optimizer_is_that_of_the_arguments(tmp_path: Path, made: Any, words: str) -> None:
    found = other_optimizer(arguments_of_in_force(tmp_path), made)

    assert words in found
    assert bool(found) is bool(words)


class Normed(torch.nn.Module):
    """A matrix with a bias, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = torch.nn.Linear(4, 4)
        self.input_layernorm = torch.nn.LayerNorm(4, bias=False)


@pytest.mark.parametrize(
    ("decayed", "words"),
    [
        (["proj.weight"], ""),
        (["proj.weight", "input_layernorm.weight"], "for `input_layernorm.weight`"),
        (["proj.weight", "proj.bias"], "for `proj.bias`"),
        ([], "no weight_decay for `proj.weight`"),
    ],
    ids=["matrices", "a norm", "a bias", "nothing"],
)
def test_weights_decay_but_for_norms_and_biases(
    decayed: list[str], words: str, tmp_path: Path
) -> None:
    model, args = Normed(), arguments_of_in_force(tmp_path, weight_decay=0.1)
    weights = dict(model.named_parameters())
    groups: Any = [
        {"params": [weights[name] for name in decayed], "weight_decay": 0.1},
        {"params": [one for name, one in weights.items() if name not in decayed]},
    ]
    made = torch.optim.AdamW([one for one in groups if one["params"]], lr=1e-3, weight_decay=0.0)

    found = other_decay(model, args, made)

    assert words in found
    assert bool(found) is bool(words)
    assert other_decay(model, arguments_of_in_force(tmp_path), made) == ""


def test_a_schedule_is_that_of_the_arguments(tmp_path: Path) -> None:
    args = arguments_of_in_force(tmp_path)
    state: Any = SimpleNamespace(max_steps=STEPS)

    assert rate_difference(args, state, scheduler(STEPS)) == 0.0
    assert rate_difference(args, state, scheduler(2 * STEPS)) > 0.1
    assert rate_difference(args, state, scheduler(STEPS, "linear")) > 0.1
    assert rate_difference(args, state, SimpleNamespace()) == 0.0


def test_settings_go_by_the_names_of_the_config(tmp_path: Path) -> None:
    found = setting_arguments(torch.nn.Linear(1, 1), arguments_of_in_force(tmp_path, seed=5))

    assert (found["lr_scheduler_type"], found["seed"]) == ("cosine", 5)
    assert "adamw" in found["optim"]
