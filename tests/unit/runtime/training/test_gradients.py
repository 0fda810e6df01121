"""Gradients before and after an evaluation, of a model with 4-bit weights; nothing else is changed by asking."""

from pathlib import Path
from typing import Any

import pytest

from engine.runtime.training.gradients import Gradients, agreement, difference, keep_unpacked
from support.apple import on_apple_gpu
from support.pico import make_pico_model


def collated(rows: Any) -> Any:
    """One row as a batch."""
    import torch

    return {name: torch.tensor([rows[0][name]]) for name in ("input_ids", "labels")}


ROWS = [{"input_ids": list(range(3, 40))}]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


def loaded(base: Path, *, four_bit: bool, dropout: float = 0.5) -> Any:
    """The tiny model with an adapter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=torch.float32,
        quantization_config=quantization if four_bit else None,
        device_map={"": "cpu"} if four_bit else None,
    )
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, lora_dropout=dropout, target_modules="all-linear")
    return get_peft_model(model, lora)


def test_a_model_without_4bit_weights_is_not_asked(base: Path) -> None:
    assert agreement(loaded(base, four_bit=False), ROWS, collated) is None


@pytest.mark.parametrize("column", ["input_ids", "prompt_ids", "prompt_input_ids"])
def test_weights_that_stay_unpacked_keep_their_gradients(base: Path, column: str) -> None:
    model = loaded(base, four_bit=True)
    keep_unpacked(model)

    assert agreement(model, [{column: ROWS[0]["input_ids"]}], collated) == 1.0


@pytest.mark.filterwarnings("ignore:.*an autograd kernel was not registered")
def test_weights_that_are_repacked_do_not(base: Path) -> None:
    from bitsandbytes.functional import has_avx512bf16

    if not has_avx512bf16():
        pytest.skip("this CPU has no AVX512-BF16")
    cosine = agreement(loaded(base, four_bit=True), ROWS, collated)

    assert cosine is not None
    assert cosine < 0.9


def test_asking_leaves_modes_gradients_and_random_numbers_as_they_were(base: Path) -> None:
    import torch

    model = loaded(base, four_bit=True)
    keep_unpacked(model)
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()

    agreement(model, ROWS, collated)

    assert [module.training for module in model.modules()] == modes
    assert torch.random.get_rng_state().equal(state)
    assert all(weight.grad is None for weight in model.parameters())


def test_gradients_of_an_apple_gpu_are_compared_elsewhere() -> None:
    import torch

    one, two = (on_apple_gpu(torch.tensor([3.0, size])) for size in (4.0, 4.5))

    found = difference(Gradients(loss=1.0, tensors=[one]), Gradients(loss=1.0, tensors=[two]))

    assert found == pytest.approx(0.1)
