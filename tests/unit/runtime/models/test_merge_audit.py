"""A merge that is wrong anywhere is refused, by arithmetic that shares nothing with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine.errors import StageError
from engine.runtime.models import merge
from engine.runtime.models.merge import merge_adapter
from engine.runtime.models.merge_audit import check_copy, check_merge

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
TARGET = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def bases(pico_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[torch.dtype, Path]:
    folder = tmp_path_factory.mktemp("bases")
    for dtype in DTYPES:
        model = AutoModelForCausalLM.from_pretrained(pico_folder, dtype=dtype)
        model.save_pretrained(folder / str(dtype))
    return {dtype: folder / str(dtype) for dtype in DTYPES}


@pytest.fixture(scope="module")
def adapter(pico_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(pico_folder)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
    tuned = get_peft_model(model, lora)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, tensor in tuned.named_parameters():
            if "lora_B" in name:
                tensor.data.normal_(std=0.02)
    tuned.save_pretrained(folder)
    return folder


def _edit(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def _four_bits(tensors: dict[str, torch.Tensor]) -> None:
    weights = tensors[TARGET].float()
    step = weights.abs().amax(1, keepdim=True) / 7
    tensors[TARGET] = ((weights / step).round() * step).to(tensors[TARGET].dtype)


def _one_weight(tensors: dict[str, torch.Tensor]) -> None:
    tensors[TARGET][3, 5] += 0.01


def _noise(tensors: dict[str, torch.Tensor]) -> None:
    name = "model.layers.0.mlp.up_proj.weight"  # no adapter changes it
    tensors[name] = tensors[name] * 1.02


def _random_head(tensors: dict[str, torch.Tensor]) -> None:
    name = "model.embed_tokens.weight"
    tensors[name] = tensors[name].flip(0).contiguous()


def _lost(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["model.norm.weight"]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "setting", [{}, {"use_rslora": True, "lora_alpha": 2}], ids=["plain", "rslora"]
)
def test_a_sound_merge_is_sound(
    bases: dict[torch.dtype, Path],
    adapter: Path,
    tmp_path: Path,
    progress: Any,
    dtype: torch.dtype,
    setting: dict[str, Any],
) -> None:
    own = tmp_path / "adapter"
    own.mkdir()
    config = json.loads((adapter / "adapter_config.json").read_text())
    (own / "adapter_config.json").write_text(json.dumps({**config, **setting}))
    (own / "adapter_model.safetensors").symlink_to(adapter / "adapter_model.safetensors")
    merge_adapter(bases[dtype], own, tmp_path / "out", progress=progress)

    check_merge(bases[dtype], own, tmp_path / "out")


@pytest.mark.parametrize("share", [0.9, 1.1, 0.5, -1.0, 2.0])
def test_a_change_of_another_size_is_refused(
    bases: dict[torch.dtype, Path],
    adapter: Path,
    tmp_path: Path,
    progress: Any,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
) -> None:
    whole = merge._Pair.delta
    monkeypatch.setattr(merge._Pair, "delta", lambda pair: whole(pair) * share)
    for dtype, base in bases.items():
        merge_adapter(base, adapter, tmp_path / str(dtype), progress=progress)

        with pytest.raises(StageError, match="X673"):
            check_merge(base, adapter, tmp_path / str(dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("damage", [_four_bits, _one_weight, _noise, _random_head, _lost])
def test_a_damaged_merge_is_refused_by_the_name_of_its_tensor(
    bases: dict[torch.dtype, Path],
    adapter: Path,
    tmp_path: Path,
    progress: Any,
    dtype: torch.dtype,
    damage: Callable[[dict[str, torch.Tensor]], None],
) -> None:
    out = tmp_path / "out"
    merge_adapter(bases[dtype], adapter, out, progress=progress)
    _edit(out, damage)

    with pytest.raises(StageError, match=r"X673.*`model\."):
        check_merge(bases[dtype], adapter, out)


def test_a_merge_onto_another_base_is_refused(
    bases: dict[torch.dtype, Path], adapter: Path, tmp_path: Path, progress: Any
) -> None:
    merge_adapter(bases[torch.bfloat16], adapter, tmp_path / "out", progress=progress)

    with pytest.raises(StageError, match="X673"):
        check_merge(bases[torch.float32], adapter, tmp_path / "out")


def test_a_copy_of_a_trained_model_is_compared_byte_by_byte(
    bases: dict[torch.dtype, Path], tmp_path: Path
) -> None:
    model = bases[torch.float32]
    merge.copy_model(model, model, tmp_path)
    check_copy(model, tmp_path)
    _edit(tmp_path, _one_weight)

    with pytest.raises(StageError, match="X673"):
        check_copy(model, tmp_path)
