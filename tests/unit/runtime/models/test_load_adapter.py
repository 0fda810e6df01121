"""A model with its adapter beside it, as every stage that asks the tuned model loads it."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from engine.environment import Device
from engine.runtime.models.load import load_model
from engine.runtime.training.fused_lora import fuse

LAYERS = 2 * 7
"""With an adapter, in the model of two blocks."""


@pytest.fixture(scope="session")
def adapter(pico_folder: Path, cpu: Device, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    model = load_model(pico_folder, device=cpu, precision="fp32").model
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    found = get_peft_model(model, config)
    torch.manual_seed(0)
    for name, weight in found.named_parameters():
        if "lora_B" in name:  # begins as zeros, and would add nothing
            nn.init.normal_(weight, std=0.1)
    found.save_pretrained(folder)
    return folder


@torch.inference_mode()
def logits(model: nn.Module) -> torch.Tensor:
    found: torch.Tensor = model(torch.arange(3, 40)[None]).logits.float()
    return found


@pytest.mark.parametrize(("precision", "count"), [("bf16", LAYERS), ("fp32", 0)])
def test_layers_multiply_as_in_training(
    precision: str, count: int, pico_folder: Path, adapter: Path, cpu: Device
) -> None:
    model = load_model(pico_folder, device=cpu, precision=precision, adapter=adapter).model
    fused = sum("forward" in vars(layer) for layer in model.modules())
    found = logits(model)

    fuse(model, on=False)
    peft = logits(model)
    with model.disable_adapter():
        without = logits(model)

    assert fused == count
    # bf16 rounds to 3 digits
    assert (found - peft).norm() < 0.02 * peft.norm()
    assert (found - without).norm() > 0.1 * peft.norm()
