"""The weight matrices of a base model, read from headers only: which are trained, and how large they are.

From safetensors headers where the weights are here, else from `config.json` for models laid out as
Llama. No tensor is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any, Final

from engine.errors import StageError
from engine.recipe.model import HubRef, Method, PackageRef, PathRef, Reference
from engine.runtime.base_model import FOLDER, REVISION
from engine.runtime.weights import weight_files
from engine.store import Store, product_key

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each weight, by name."""

ATTENTION: Final = ("q_proj", "k_proj", "v_proj", "o_proj")
_NOT_LINEAR: Final = ("embed", "lm_head", "norm", "wte", "wpe", "shared", "output.weight")
_LLAMA_LIKE: Final = frozenset({"llama", "mistral", "qwen2", "smollm3"})
_MATRIX: Final = 2


def shapes_of(ref: Reference, store: Store) -> Shapes | None:
    """Return the shapes of a base model's weights; None where nothing here says them."""
    folder = _folder(ref, store)
    if folder is None:
        return None
    try:
        found = {
            tensor.name: tensor.shape for file in weight_files(folder) for tensor in file.tensors
        }
    except (StageError, OSError, ValueError):
        found = {}
    return found or _of_config(folder)


def _folder(ref: Reference, store: Store) -> Path | None:
    """The base model's folder: the user's own, or the one that a run made."""
    if isinstance(ref, PathRef):
        return ref.path if ref.path.is_dir() else None
    payload: dict[str, Any]
    if isinstance(ref, HubRef):
        payload = {"hub": ref.repo, "revision": ref.revision, "made": REVISION}
    elif isinstance(ref, PackageRef) and ref.sha256 is not None:
        payload = {**asdict(ref), "made": REVISION}
    else:
        return None
    stored = store.get(product_key("base-model", payload).digest)
    return stored.file(FOLDER) if stored else None


def _of_config(folder: Path) -> Shapes | None:
    """The shapes that a Llama of these sizes has; None for any other layout."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return dict(_llama(config)) if config.get("model_type") in _LLAMA_LIKE else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _llama(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    heads = int(config["num_attention_heads"])
    size = int(config.get("head_dim") or hidden // heads)
    keys = int(config.get("num_key_value_heads") or heads) * size
    layer = {
        "self_attn.q_proj": (heads * size, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, heads * size),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
    }
    for number in range(int(config["num_hidden_layers"])):
        for name, shape in layer.items():
            yield f"model.layers.{number}.{name}.weight", shape
    yield "model.norm.weight", (hidden,)
    yield "model.embed_tokens.weight", (int(config["vocab_size"]), hidden)
    if not config.get("tie_word_embeddings", False):
        yield "lm_head.weight", (int(config["vocab_size"]), hidden)


def total(shapes: Shapes) -> int:
    """Return the parameters of a model."""
    return sum(prod(shape) for shape in shapes.values())


def trainable(shapes: Shapes, method: Method) -> int | None:
    """Return the parameters that a method trains; None where it names modules that are not there."""
    if method.kind == "full":
        return total(shapes)
    adapted = [shape for name, shape in shapes.items() if _is_adapted(name, shape, method)]
    if not adapted:
        return None
    return method.rank * sum(sum(shape) for shape in adapted)


def _is_adapted(name: str, shape: tuple[int, ...], method: Method) -> bool:
    if len(shape) != _MATRIX or not name.endswith(".weight"):
        return False
    if any(word in name for word in _NOT_LINEAR):
        return False
    module = name.removesuffix(".weight").rpartition(".")[2]
    if method.target_modules == "all_linear":
        return True
    return module in (ATTENTION if method.target_modules == "attention" else method.target_modules)
