"""Merged weights have the bytes that PEFT's merged model has when it is saved in the same way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from engine.errors import StageError
from engine.runtime.models import merge
from engine.runtime.models.merge import check_copy, check_merge, merge_adapter
from engine.runtime.models.weights import weight_files

SHAPES = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
}
OPT = {
    "vocab_size": 320,
    "hidden_size": 64,
    "ffn_dim": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "word_embed_proj_dim": 64,
}
ALL = "all-linear"
WHOLE = "10GB"
ALPHA = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A base model, and what of it an adapter changes."""

    model_type: str
    dtype: torch.dtype = torch.bfloat16
    shapes: Mapping[str, Any] = field(default_factory=lambda: SHAPES)
    is_tied: bool = False
    targets: Any = ALL
    shard: str = WHOLE
    rank: int = 8
    uses_rslora: bool = False
    uses_dora: bool = False
    ranks: Mapping[str, int] = field(default_factory=dict)
    """By module, at the same alpha / rank."""
    layers: tuple[int, ...] | None = None
    in_4bit: bool = False
    """The adapter is one of QLoRA; the base on the disk has 16 or 32 bits as always."""


CASES = {
    "llama": Case(model_type="llama"),
    "llama, 32 bits": Case(model_type="llama", dtype=torch.float32),
    "llama, float16": Case(model_type="llama", dtype=torch.float16),
    "llama, tied": Case(model_type="llama", is_tied=True),
    "llama, shards": Case(model_type="llama", shard="60KB"),
    "llama, tied, shards, 32 bits": Case(
        model_type="llama", is_tied=True, shard="100KB", dtype=torch.float32
    ),
    "llama, output layer": Case(model_type="llama", targets=["q_proj", "lm_head"]),
    "llama, rank 1": Case(model_type="llama", rank=1),
    "llama, rank 64, rslora": Case(model_type="llama", rank=64, uses_rslora=True),
    "llama, dora": Case(model_type="llama", uses_dora=True),
    "llama, dora, 32 bits, shards": Case(
        model_type="llama", uses_dora=True, dtype=torch.float32, shard="60KB"
    ),
    "llama, dora, float16, rslora": Case(
        model_type="llama", uses_dora=True, uses_rslora=True, dtype=torch.float16
    ),
    "llama, dora, qlora": Case(model_type="llama", uses_dora=True, in_4bit=True),
    "llama, ranks": Case(model_type="llama", ranks={"q_proj": 2, "down_proj": 24}),
    "llama, ranks, dora, rslora, last layer": Case(
        model_type="llama",
        targets=["q_proj", "down_proj"],
        ranks={"q_proj": 2},
        uses_dora=True,
        uses_rslora=True,
        layers=(1,),
    ),
    "llama, qlora": Case(model_type="llama", in_4bit=True),
    "llama, qlora, 32 bits, shards": Case(
        model_type="llama", in_4bit=True, dtype=torch.float32, shard="60KB"
    ),
    "qwen2, with biases": Case(model_type="qwen2"),
    "qwen3": Case(model_type="qwen3", is_tied=True),
    "gemma": Case(model_type="gemma", is_tied=True),
    "phi3, fused projections": Case(model_type="phi3", targets=["qkv_proj", "down_proj"]),
    "mistral": Case(model_type="mistral", targets=["q_proj", "k_proj", "v_proj", "o_proj"]),
    "opt, with biases": Case(model_type="opt", shapes=OPT, is_tied=True),
}


def _weights(folder: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Return type, shape and bytes of each tensor."""
    return {
        tensor.name: (tensor.dtype, tensor.shape, file.path.read_bytes()[tensor.begin : tensor.end])
        for file in weight_files(folder)
        for tensor in file.tensors
    }


def _make_base(case: Case, folder: Path) -> None:
    config = AutoConfig.for_model(
        case.model_type, **case.shapes, tie_word_embeddings=case.is_tied, dtype=case.dtype
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=case.dtype)
    model.save_pretrained(folder, max_shard_size=case.shard)


def _make_adapter(case: Case, base: Path, folder: Path) -> None:
    quantized = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=case.dtype,
        quantization_config=quantized if case.in_4bit else None,
        device_map={"": "cpu"} if case.in_4bit else None,
    )
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=case.rank,
        lora_alpha=ALPHA,
        use_rslora=case.uses_rslora,
        use_dora=case.uses_dora,
        rank_pattern=dict(case.ranks),
        alpha_pattern={name: ALPHA * rank // case.rank for name, rank in case.ranks.items()},
        layers_to_transform=case.layers,
        target_modules=case.targets,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        tuned = get_peft_model(model, lora)
        for name, tensor in tuned.named_parameters():
            if "lora_B" in name:
                tensor.data.normal_(std=0.1)
            if "lora_magnitude_vector" in name:
                tensor.data.mul_(torch.rand_like(tensor) + 0.5)
    # As trainers of a plain adapter do; the whole embedding beside its pair is no LoRA adapter.
    tuned.save_pretrained(folder, save_embedding_layers=False)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_bytes_are_those_of_peft(case: Case, tmp_path: Path, progress: Any) -> None:
    base, adapter, out = (tmp_path / name for name in ("base", "adapter", "out"))
    _make_base(case, base)
    _make_adapter(case, base, adapter)

    merge_adapter(base, adapter, out, progress=progress)

    check_merge(base, adapter, out)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=case.dtype)
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    merged.save_pretrained(tmp_path / "expected", max_shard_size=case.shard)
    # By tensor: PEFT's model lists its weights in another order, which shards then follow.
    ours, expected = _weights(out), _weights(tmp_path / "expected")
    assert len(list(out.glob("*.safetensors"))) > 1 or case.shard == WHOLE
    assert ours.keys() == expected.keys()
    assert [name for name, weight in ours.items() if weight != expected[name]] == []


# A merge that is wrong anywhere is refused, by arithmetic that shares nothing with it.
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
