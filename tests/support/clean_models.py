"""Tiny sound models of many architectures: none of them may be taken for a faulty one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.pico import make_pico_model

SIZES: Mapping[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
MODELS: Mapping[str, Mapping[str, Any]] = {
    "llama, tied": {"kind": "llama", "tie_word_embeddings": True},
    "llama, untied": {"kind": "llama", "tie_word_embeddings": False},
    "llama, sharded": {"kind": "llama", "tie_word_embeddings": False, "shard": "60KB"},
    "llama, bf16": {"kind": "llama", "tie_word_embeddings": True, "dtype": "bfloat16"},
    "llama, one head a group": {"kind": "llama", "num_key_value_heads": 4},
    "mistral, sliding window": {"kind": "mistral", "sliding_window": 16},
    "qwen2": {"kind": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"kind": "qwen3", "head_dim": 16},
    "gemma2": {"kind": "gemma2", "head_dim": 16, "sliding_window": 32},
    "phi3": {"kind": "phi3"},
    "olmo2": {"kind": "olmo2"},
    "starcoder2": {"kind": "starcoder2"},
}
"""Twelve, by what is special about each."""


def make_clean_model(folder: Path, name: str) -> Path:
    """Write the model of that name with the tokenizer of the usual one."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    make_pico_model(folder)
    (folder / "model.safetensors").unlink()
    given = dict(MODELS[name])
    kind, shard = given.pop("kind"), given.pop("shard", "1GB")
    dtype = getattr(torch, given.pop("dtype", "float32"))
    old = AutoConfig.from_pretrained(folder)
    ids = {one: getattr(old, one) for one in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = AutoConfig.for_model(kind, vocab_size=old.vocab_size, **ids, **{**SIZES, **given})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).to(dtype)
    model.save_pretrained(folder, max_shard_size=shard)
    return folder
