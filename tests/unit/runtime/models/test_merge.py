"""The merged weights are those PEFT would give, and everything that does not fit is refused."""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine.errors import StageError
from engine.runtime.models import merge
from engine.runtime.models.merge import merge_adapter

TARGETS = ["q_proj", "v_proj", "down_proj"]
LAYERS = 2
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


@pytest.fixture
def copied(adapter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(adapter, tmp_path / "adapter"))


def _edit_config(adapter: Path, **changes: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _edit_tensors(adapter: Path, edit: Any) -> None:
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def _code(caught: pytest.ExceptionInfo[StageError]) -> str:
    return caught.value.problems[0].code


def test_the_merge_is_the_one_of_peft(
    pico_folder: Path, adapter: Path, tmp_path: Path, progress: Any
) -> None:
    facts = merge_adapter(pico_folder, adapter, tmp_path, progress=progress)

    base = AutoModelForCausalLM.from_pretrained(pico_folder)
    expected = PeftModel.from_pretrained(base, str(adapter)).merge_and_unload().state_dict()
    merged = load_file(tmp_path / "model.safetensors")
    assert (len(TARGETS) * LAYERS, len(TARGETS) * LAYERS) == (facts.changed, facts.expected)
    for name, tensor in merged.items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=0)


def test_the_merged_folder_is_complete(
    pico_folder: Path, adapter: Path, tmp_path: Path, progress: Any
) -> None:
    merge_adapter(pico_folder, adapter, tmp_path, progress=progress)

    assert sorted(path.name for path in pico_folder.iterdir()) == sorted(
        path.name for path in tmp_path.iterdir()
    )


def test_a_merge_is_repeatable(
    pico_folder: Path, adapter: Path, tmp_path: Path, progress: Any
) -> None:
    for name in ("first", "second"):
        merge_adapter(pico_folder, adapter, tmp_path / name, progress=progress)

    first, second = (tmp_path / name / "model.safetensors" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


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


def _drop_one_b(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[min(name for name in tensors if "lora_B" in name)]


def _drop_one_a(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[min(name for name in tensors if "lora_A" in name)]


def _add_a_stranger(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.lm_head.weight"] = torch.zeros(2, 2)


@pytest.mark.parametrize(
    "change", [{"use_dora": True}, {"rank_pattern": {"q_proj": 2}}, {"r": 8}], ids=str
)
def test_tensors_that_are_not_those_of_the_configuration_are_refused(
    pico_folder: Path, copied: Path, tmp_path: Path, progress: Any, change: dict[str, Any]
) -> None:
    _edit_config(copied, **change)

    with pytest.raises(StageError) as caught:
        merge_adapter(pico_folder, copied, tmp_path / "out", progress=progress)

    assert _code(caught) == "X622"


@pytest.mark.parametrize("edit", [_rename, _drop_one_a, _drop_one_b, _add_a_stranger])
def test_every_tensor_of_the_adapter_must_find_its_place(
    pico_folder: Path, copied: Path, tmp_path: Path, progress: Any, edit: Any
) -> None:
    _edit_tensors(copied, edit)

    with pytest.raises(StageError) as caught:
        merge_adapter(pico_folder, copied, tmp_path / "out", progress=progress)

    assert _code(caught) == "X622"


@pytest.mark.parametrize(
    "scale", [0.0, float("nan"), 1e-30], ids=["nothing learned", "not finite", "lost in rounding"]
)
def test_a_change_that_is_no_change_is_an_error(
    pico_folder: Path, copied: Path, tmp_path: Path, progress: Any, scale: float
) -> None:
    def edit(tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in tensors.items():
            if "lora_B" in name:
                tensors[name] = tensor * scale

    _edit_tensors(copied, edit)

    with pytest.raises(StageError) as caught:
        merge_adapter(pico_folder, copied, tmp_path / "out", progress=progress)

    assert _code(caught) == "X624"


def test_tied_embeddings_are_refused(
    pico_folder: Path, copied: Path, tmp_path: Path, progress: Any
) -> None:
    def edit(tensors: dict[str, torch.Tensor]) -> None:
        tensors["base_model.model.lm_head.lora_A.weight"] = torch.ones(4, 64)
        tensors["base_model.model.lm_head.lora_B.weight"] = torch.ones(320, 4)

    _edit_tensors(copied, edit)

    with pytest.raises(StageError) as caught:
        merge_adapter(pico_folder, copied, tmp_path / "out", progress=progress)

    assert _code(caught) == "X623"


@pytest.mark.parametrize("size", [-1, 1], ids=["truncated", "longer"])
def test_a_weight_file_of_the_wrong_size_is_damaged(
    pico_folder: Path, adapter: Path, tmp_path: Path, progress: Any, size: int
) -> None:
    base = Path(shutil.copytree(pico_folder, tmp_path / "base"))
    weights = base / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:size] if size < 0 else data + b"\0")

    with pytest.raises(StageError) as caught:
        merge_adapter(base, adapter, tmp_path / "out", progress=progress)

    assert _code(caught) == "X607"


def _lack_a_layer(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if "layers.1" in name]:
        del tensors[name]


def test_an_adapter_that_lacks_a_layer_is_refused(
    pico_folder: Path, copied: Path, tmp_path: Path, progress: Any
) -> None:
    _edit_tensors(copied, _lack_a_layer)

    with pytest.raises(StageError, match=r"X624.*layers\.1.*and 2 more"):
        merge_adapter(pico_folder, copied, tmp_path / "out", progress=progress)


def test_an_adapter_of_chosen_layers_lacks_nothing(
    pico_folder: Path, copied: Path, tmp_path: Path, progress: Any
) -> None:
    _edit_tensors(copied, _lack_a_layer)
    _edit_config(copied, layers_to_transform=[0])

    facts = merge_adapter(pico_folder, copied, tmp_path / "out", progress=progress)

    assert facts.changed == len(TARGETS)
