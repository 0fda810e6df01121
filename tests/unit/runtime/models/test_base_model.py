"""A base model is a folder without code, whatever it came as."""

import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from engine.environment import Device
from engine.errors import EnvironmentProblem, StageError
from engine.recipe.model import PathRef
from engine.runtime.models.base_model import locate_base_model
from engine.runtime.models.load import (
    SPARED,
    LoadedModel,
    filling_of,
    load_model,
    plain_logits,
    torch_device,
)
from engine.runtime.training.fused_lora import fuse


def _never(*_: Any) -> Any:
    raise AssertionError("a local folder needs no product")


def _ref(path: Path) -> PathRef:
    return PathRef(path=path, written=path.name)


@pytest.fixture
def folder(pico_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pico_folder, tmp_path / "base"))


def test_a_local_folder_is_used_as_it_is(folder: Path, progress: Any) -> None:
    assert folder == locate_base_model(_ref(folder), _never, progress)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_part_or_has_pickled_weights_is_refused(
    folder: Path, progress: Any, name: str
) -> None:
    (folder / name).rename(folder / "pytorch_model.bin")

    with pytest.raises(StageError, match="X606"):
        locate_base_model(_ref(folder), _never, progress)


# A model with its adapter beside it, as every stage that asks the tuned model loads it.
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


# A GPU that torch does not reach is named, with the reason, before a model is moved there.
GPU = Device(kind="cuda", name="Tesla T4", memory_bytes=1, cores=1, bf16=False)
CPU = Device(kind="cpu", name="a CPU", memory_bytes=1, cores=1, bf16=False)


def old_driver() -> NoReturn:
    raise RuntimeError("The NVIDIA driver on your system is too old\nPlease update it")


@pytest.mark.parametrize(
    ("version", "why"),
    [(None, "it is built without CUDA"), ("13.0", "The NVIDIA driver on your system is too old")],
)
def test_a_torch_that_reaches_no_gpu_says_why(
    version: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.cuda, "init", old_driver)

    with pytest.raises(EnvironmentProblem, match=f"B435.*Tesla T4 that is here: {why}$"):
        torch_device(GPU)


def test_what_torch_reaches_is_what_it_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    assert (torch_device(GPU), torch_device(CPU)) == (torch.device("cuda"), torch.device("cpu"))


# How many tokens are put behind a pass so that many are of one length.
@pytest.mark.parametrize("tokens", [1, 7, 16, 31, 100, 546, 1021, 9999])
def test_a_pass_is_filled_by_a_sixteenth_at_most(tokens: int) -> None:
    filling = filling_of(tokens)

    assert filling < max(8, tokens / 16)
    assert (tokens + filling) % 8 == 0


# Rows that pass beside each other have the numbers that each has alone.
ROWS = ([5, 6, 7, 8, 9, 10], [11, 12, 13], [14, 15, 16, 17])
WANTED = ([4, 5], [2], [0, 3])


@pytest.fixture
def passes(pico: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of what the model is given from here on."""
    found: list[torch.Size] = []
    real = pico.model.forward

    def forward(*given: Any, **named: Any) -> Any:
        found.append(named["input_ids"].shape)
        return real(*given, **named)

    monkeypatch.setattr(pico.model, "forward", forward)
    return found


def alone(pico: LoadedModel, row: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = pico.model(input_ids=torch.tensor([row])).logits[0].float()
    return found


def test_short_rows_pass_together_with_their_own_numbers(
    pico: LoadedModel, passes: list[torch.Size]
) -> None:
    with torch.no_grad():
        found = plain_logits(pico.model, ROWS, WANTED)

    assert passes == [(3, 6)]
    for row, places, logits in zip(ROWS, WANTED, found, strict=True):
        torch.testing.assert_close(logits, alone(pico, row)[places], atol=1e-4, rtol=1e-4)


def test_a_row_that_would_be_filled_up_much_passes_alone(
    pico: LoadedModel, passes: list[torch.Size]
) -> None:
    long = [5 + at % 50 for at in range(SPARED + 6)]
    plain_logits(pico.model, [long, [7, 8]], [[0], [1]])

    assert passes == [(1, len(long)), (1, 2)]


def test_a_model_that_sees_what_follows_shows_it(pico: LoadedModel) -> None:
    """What stands behind a shorter row is no padding, which a model may have learned to leave out."""
    given: list[torch.Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pico.model, "forward", lambda **named: given.append(named["input_ids"]))
        with pytest.raises(AttributeError):
            plain_logits(pico.model, ROWS, WANTED)

    assert given[0][1].tolist() == [11, 12, 13, 11, 12, 13]
