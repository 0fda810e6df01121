"""The merged weights are those PEFT would give, and everything that does not fit is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine.errors import StageError
from engine.runtime.models import merge
from engine.runtime.models.merge import PREFIX, merge_adapter

TARGETS = ["q_proj", "v_proj", "down_proj"]
WEIGHTS = "model.safetensors"
BLOCKS = (100, 1000, 1 << 30)


@pytest.fixture(scope="session")
def adapter(pico_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(pico_folder)
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, tensor in tuned.named_parameters():
            if "lora_B" in name:
                tensor.data.normal_(std=0.1)
    tuned.save_pretrained(folder)
    return folder


def test_blocks_of_rows_give_the_bytes_of_the_whole(
    pico_folder: Path, adapter: Path, tmp_path: Path, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = []
    for block in BLOCKS:
        monkeypatch.setattr(merge, "BLOCK", block)
        facts.append(merge_adapter(pico_folder, adapter, tmp_path / str(block), progress=progress))

    first, *others = ((tmp_path / str(block) / WEIGHTS).read_bytes() for block in BLOCKS)
    assert others == [first, first]
    assert facts[1:] == [facts[0], facts[0]]


def test_a_merge_that_is_broken_off_leaves_no_part_of_a_weight_file(
    pico_folder: Path, adapter: Path, tmp_path: Path
) -> None:
    class Interrupting:
        def update(self, done: int, total: int, unit: str) -> None:
            if done > total // 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge_adapter(pico_folder, adapter, tmp_path, progress=cast("Any", Interrupting()))

    assert not list(tmp_path.glob("*safetensors*"))


def _rename(tensors: dict[str, torch.Tensor]) -> None:
    for name in list(tensors):
        tensors[name.replace("layers.1", "layers.7")] = tensors.pop(name)


def _without(part: str) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors.pop(min(name for name in tensors if part in name))


def _of_tied_embeddings(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.lm_head.lora_A.weight"] = torch.ones(4, 64)
    tensors["base_model.model.lm_head.lora_B.weight"] = torch.ones(320, 4)


def _scaled(scale: float) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: [one.mul_(scale) for name, one in tensors.items() if "lora_B" in name]


def _first_layer_only(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if "layers.1" in name]:
        del tensors[name]


def _nothing(_: dict[str, torch.Tensor]) -> None:
    """Change nothing."""


@pytest.fixture
def changed(adapter: Path, tmp_path: Path) -> Callable[..., Path]:
    """A function that copies the adapter, changes its tensors and some of its settings."""

    def change(edit: Callable[[dict[str, torch.Tensor]], object], **settings: Any) -> Path:
        folder = Path(shutil.copytree(adapter, tmp_path / "adapter"))
        config = folder / "adapter_config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))
        path = folder / "adapter_model.safetensors"
        tensors = load_file(path)
        edit(tensors)
        save_file(tensors, path, metadata={"format": "pt"})
        return folder

    return change


@pytest.mark.parametrize(
    ("edit", "settings", "code"),
    [
        (_nothing, {"use_dora": True}, "X622"),
        (_nothing, {"rank_pattern": {"q_proj": 2}}, "X622"),
        (_nothing, {"r": 8}, "X622"),
        (_rename, {}, "X622"),
        (_without("lora_A"), {}, "X622"),
        (_without("lora_B"), {}, "X622"),
        (lambda tensors: tensors.update({f"{PREFIX}lm_head.weight": torch.ones(2)}), {}, "X622"),
        (_of_tied_embeddings, {}, "X623"),
        (_scaled(0.0), {}, "X624"),
        (_scaled(float("nan")), {}, "X624"),
        (_scaled(1e-30), {}, "X624"),
        (_first_layer_only, {}, r"X624.*layers\.1.*and 2 more"),
    ],
)
def test_an_adapter_that_does_not_fit_or_changes_nothing_is_refused(
    pico_folder: Path,
    changed: Callable[..., Path],
    progress: Any,
    edit: Callable[[dict[str, torch.Tensor]], object],
    settings: dict[str, Any],
    code: str,
) -> None:
    adapter = changed(edit, **settings)

    with pytest.raises(StageError, match=code):
        merge_adapter(pico_folder, adapter, adapter.with_name("out"), progress=progress)


def test_an_adapter_of_chosen_layers_lacks_nothing(
    pico_folder: Path, changed: Callable[..., Path], tmp_path: Path, progress: Any
) -> None:
    adapter = changed(_first_layer_only, layers_to_transform=[0])

    facts = merge_adapter(pico_folder, adapter, tmp_path / "out", progress=progress)

    assert facts.changed == len(TARGETS)
