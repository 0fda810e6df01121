"""A base model is a folder without code, whatever it came as."""

import json
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
    MOST,
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


def _set(folder: Path, key: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "x--y.Z"}))


def test_a_local_folder_is_used_as_it_is(folder: Path, progress: Any) -> None:
    assert folder == locate_base_model(_ref(folder), _never, progress)


@pytest.mark.parametrize(
    "key", ["auto_map", "_attn_implementation_internal", "_attn_implementation"]
)
def test_a_configuration_that_asks_for_code_is_refused(
    folder: Path, progress: Any, key: str
) -> None:
    _set(folder, key)

    with pytest.raises(StageError) as caught:
        locate_base_model(_ref(folder), _never, progress)

    assert caught.value.problems[0].code == "X609"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_part_is_refused(folder: Path, progress: Any, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(StageError) as caught:
        locate_base_model(_ref(folder), _never, progress)

    assert caught.value.problems[0].code == "X606"


def test_pickled_weights_are_never_read(folder: Path, progress: Any) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    with pytest.raises(StageError) as caught:
        locate_base_model(_ref(folder), _never, progress)

    assert caught.value.problems[0].code == "X606"


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, progress: Any) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"not a model")

    def build(_name: str, _payload: Any, make: Any) -> Any:
        return make(tmp_path / "out")

    with pytest.raises(StageError) as caught:
        locate_base_model(_ref(path), build, progress)

    assert caught.value.problems[0].code == "X610"


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


def refusal() -> str:
    with pytest.raises(EnvironmentProblem) as refused:
        torch_device(GPU)
    (problem,) = refused.value.problems
    assert problem.code == "B435"
    return problem.message


def test_a_torch_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)

    assert refusal().endswith("cannot use the Tesla T4 that is here: it is built without CUDA")


def test_so_is_a_driver_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", old_driver)

    assert refusal().endswith("here: The NVIDIA driver on your system is too old")


def test_what_torch_reaches_is_what_it_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    assert (torch_device(GPU), torch_device(CPU)) == (torch.device("cuda"), torch.device("cpu"))


# How many tokens are put behind a pass so that many are of one length.
@pytest.mark.parametrize("tokens", [1, 7, 16, 31, 100, 546, 1021, 9999])
def test_a_pass_is_filled_by_a_sixteenth_at_most(tokens: int) -> None:
    filling = filling_of(tokens)

    assert filling < max(8, tokens / 16)
    assert (tokens + filling) % 8 == 0


def test_passes_of_like_length_are_of_few_lengths() -> None:
    assert {tokens + filling_of(tokens) for tokens in range(513, 641)} == {544, 576, 608, 640}


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


def test_all_places_may_be_wanted(pico: LoadedModel) -> None:
    with torch.no_grad():
        found = plain_logits(pico.model, ROWS, [range(len(row) - 1) for row in ROWS])

    for row, logits in zip(ROWS, found, strict=True):
        torch.testing.assert_close(logits, alone(pico, row)[:-1], atol=1e-4, rtol=1e-4)


def test_a_row_that_would_be_filled_up_much_passes_alone(
    pico: LoadedModel, passes: list[torch.Size]
) -> None:
    long = [5 + at % 50 for at in range(SPARED + 6)]
    plain_logits(pico.model, [long, [7, 8]], [[0], [1]])

    assert passes == [(1, len(long)), (1, 2)]


@pytest.mark.thorough
def test_many_rows_pass_alone(pico: LoadedModel, passes: list[torch.Size]) -> None:
    rows = [[5, 6, 7, 8]] * (MOST // 4 + 1)
    plain_logits(pico.model, rows, [[0]] * len(rows))

    assert {*passes} == {(1, 4)}


def test_a_model_that_sees_what_follows_shows_it(pico: LoadedModel) -> None:
    """What stands behind a shorter row is no padding, which a model may have learned to leave out."""
    given: list[torch.Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pico.model, "forward", lambda **named: given.append(named["input_ids"]))
        with pytest.raises(AttributeError):
            plain_logits(pico.model, ROWS, WANTED)

    assert given[0][1].tolist() == [11, 12, 13, 11, 12, 13]


def test_no_rows_are_not_asked(pico: LoadedModel, passes: list[torch.Size]) -> None:
    assert plain_logits(pico.model, [], []) == []
    assert not passes
