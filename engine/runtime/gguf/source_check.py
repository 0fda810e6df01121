"""A GGUF file compared with the model folder that it was made of: its numbers, its marks, and of 16 bits its tensors.

Whoever runs the file reads positions and norms by these numbers. Some of them, and some tensors of a small model, move
the answers to short prompts by next to nothing, so that the parity ladder does not show them.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from gguf import MODEL_ARCH_NAMES, GGUFReader, TokenType, get_tensor_name_map
from safetensors import safe_open

from engine.runtime.models.load import one_thread
from engine.runtime.models.model_files import is_mark, read_settings, token_ids
from engine.runtime.models.weights import weight_files
from engine.runtime.rendering.chat import kept_tokenizer

REVISION: Final = 3
ARCHITECTURES: Final = frozenset(
    {"llama", "qwen2", "qwen3", "gemma", "gemma2", "olmo2", "starcoder2", "granite", "smollm3"}
)
"""Architectures whose numbers the converter writes as config.json has them."""
NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "context_length": ("max_position_embeddings",),
    "embedding_length": ("hidden_size",),
    "block_count": ("num_hidden_layers",),
    "feed_forward_length": ("intermediate_size",),
    "attention.head_count": ("num_attention_heads",),
    "attention.head_count_kv": ("num_key_value_heads",),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps",),
    "attention.layer_norm_epsilon": ("norm_epsilon",),
    "rope.freq_base": ("rope_theta",),
}
"""Keys after the name of the architecture, and their names in config.json."""
ROUNDED: Final = 1e-5
"""Relative tolerance of a number that was written in 32 bits."""
TOKENS: Final = ("bos_token_id", "eos_token_id")
ENDING: Final = ("eot_token_id", "eom_token_id")
"""Tokens at which programs end an answer, too."""
ADDS_ONE: Final = frozenset({"gemma", "gemma2"})
"""Architectures whose norms the converter writes with 1 added."""
NORM, SUM = 5e-4, 4e-3
"""Tolerances of a tensor's length and sum in 16 bits, as shares of its length."""
ROWS: Final = 1024
MARKS: Final = frozenset({TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN})


def other_settings(model: Path, file: GGUFReader) -> Iterator[str]:
    """Yield what a file says otherwise than the model folder `model`: its numbers, and its marks."""
    fields = file.fields
    name = _value(fields, "general.architecture")
    config, generation = (
        read_settings(model / one) if (model / one).is_file() else {}
        for one in ("config.json", "generation_config.json")
    )
    positions = config.get("rope_parameters")
    known = {**config, **(positions if isinstance(positions, dict) else {})}
    for key, names in NUMBERS.items() if name in ARCHITECTURES else ():
        found = _value(fields, f"{name}.{key}")
        planned = next((known[one] for one in names if one in known), None)
        if not isinstance(found, int | float) or not isinstance(planned, int | float):
            continue
        if abs(found - planned) > ROUNDED * abs(planned):
            yield f"`{name}.{key}` is {found:g}, and the model has {planned:g}"
    tokenizer = kept_tokenizer(model)
    for key in TOKENS:
        found, own = _value(fields, f"tokenizer.ggml.{key}"), getattr(tokenizer, key, None)
        named = {own, *(token for one in (config, generation) for token in token_ids(one.get(key)))}
        if found is not None and own is not None and found not in named:
            yield f"`tokenizer.ggml.{key}` is {found}, and the model has {own}"
    for key in ENDING:
        found = _value(fields, f"tokenizer.ggml.{key}")
        if isinstance(found, int) and not is_mark(tokenizer, found):
            yield f"`tokenizer.ggml.{key}` is {found}, the ordinary text {tokenizer.decode([found])!r}"
    types = fields.get("tokenizer.ggml.token_type")
    if types is None:
        return
    kinds = np.array([types.parts[at][0] for at in types.data])
    special = sorted(one for one, token in tokenizer.added_tokens_decoder.items() if token.special)
    if plain := [one for one in special if one < len(kinds) and int(kinds[one]) not in MARKS]:
        yield f"{len(plain)} special tokens are ordinary text, such as {tokenizer.decode(plain[:1])}"
    marks = map(int, np.flatnonzero(kinds == TokenType.CONTROL))
    if marked := [one for one in marks if not is_mark(tokenizer, one)]:
        what = f"{len(marked)} ordinary tokens are marks, which programs leave out, such as"
        yield f"{what} {tokenizer.decode(marked[:1])!r}"


@one_thread()
def other_tensors(model: Path, sixteen: GGUFReader) -> Iterator[str]:
    """Yield the tensors of the 16-bit file whose length or sum is not the model's: rows may have another order."""
    name = _value(sixteen.fields, "general.architecture")
    kind = next((one for one, known in MODEL_ARCH_NAMES.items() if known == name), None)
    layers = _value(sixteen.fields, f"{name}.block_count")
    if name not in ARCHITECTURES or kind is None or not isinstance(layers, int):
        return
    names = get_tensor_name_map(kind, layers)
    held = {one.name: one for one in sixteen.tensors if one.tensor_type.name in ("F16", "F32")}
    for file in weight_files(model):
        with safe_open(file.path, framework="pt") as source:
            for tensor in file.tensors:
                ours = names.get_name(tensor.name, try_suffixes=(".weight", ".bias"))
                if ours not in held or (len(tensor.shape) == 1 and name in ADDS_ONE):
                    continue
                length, total = _extent(source.get_tensor(tensor.name))
                other_length, other_total = _extent(torch.from_numpy(held[ours].data.copy()))
                is_near = abs(length - other_length) <= NORM * length
                if not is_near or abs(total - other_total) > SUM * length:
                    yield f"`{ours}` is not `{tensor.name}` of the model"


def _extent(weight: torch.Tensor) -> tuple[float, float]:
    """Return the length of a tensor and the sum of its numbers, which stay where its rows change places."""
    # Some rows at a time: a whole embedding in 32 bits would take twice its size.
    square = total = 0.0
    rows = weight.reshape(-1, weight.shape[-1])
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        square += float(torch.linalg.vector_norm(part.float())) ** 2
        total += float(part.sum(-1, dtype=torch.float32).sum(dtype=torch.float64))
    return math.sqrt(square), total


def _value(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field of one number or text; None where there is none, or a list."""
    field = fields.get(name)
    found = None if field is None else field.contents()
    return None if isinstance(found, list) else found
