"""The shapes of a model's weights, from its config.json, the headers of its safetensors, or a GGUF header."""

from __future__ import annotations

import math
import mmap
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import StageError
from engine.files.reading import open_regular, read_json
from engine.recipe.model import Scratch
from engine.recipe.references import layer_numbers
from engine.runtime.models.weights import weight_files
from engine.values import Value, replace

_MATRIX = 2
_MOST = 1 << 40
_BLOCK = re.compile(r"\.(\d+)\.")
_GGUF_LINEAR = {
    "attn_q": "q_proj", "attn_k": "k_proj", "attn_v": "v_proj", "attn_output": "o_proj",
    "ffn_gate": "gate_proj", "ffn_up": "up_proj", "ffn_down": "down_proj",
    "attn_qkv": "qkv_proj",
}  # fmt: skip
_GGUF_VERSIONS = (2, 3)
_PLAIN = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_MOST_VALUES = 1 << 24
"""More bytes of one text, or items of a list of numbers, than this means that the file is not what it says."""
_MOST_PARTS = 1 << 20
"""The same of what is walked one by one: fields, tensors, texts of a list; a vocabulary has some 300,000."""
_MOST_SIZES = 8
GATED = frozenset(
    {
        "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3", "granite",
        "olmo", "olmo2", "stablelm", "cohere", "glm", "exaone4", "ministral", "helium", "seed_oss",
    }
)  # fmt: skip
"""Model types whose blocks have q, k, v, o and gate, up, down, so that config.json says every shape."""


class Linear(Value):
    """One matrix of each block that an adapter may stand beside."""

    name: str
    inputs: int
    outputs: int
    count: int


class ModelShape(Value):
    hidden: int
    layers: int
    intermediate: int
    heads: int
    vocabulary: int
    tied: bool
    """Input and output embeddings are one matrix."""
    linears: tuple[Linear, ...]
    total_parameters: int
    source: str
    """Where this comes from: `config.json: 30 layers of 576, …`."""
    stored_bytes: int | None = None
    """Of the weights as they lie there; None where only the config is."""
    assumed: bool = False
    """`linears` are those of Llama, for a model type of which the config does not say them."""

    @property
    def linear_parameters(self) -> int:
        return sum(one.inputs * one.outputs * one.count for one in self.linears)

    @property
    def embedding_parameters(self) -> int:
        return self.vocabulary * self.hidden


def shape_of_folder(folder: Path) -> ModelShape | None:
    try:
        found = shape_of_config(read_json(folder / "config.json"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return None
    try:
        tensors = [one for file in weight_files(folder) for one in file.tensors]
    except StageError:  # none, or one that is damaged, of which a run will say more
        return found
    if found is None:
        return None
    # PyTorch stores a matrix as outputs by inputs.
    linears = _linears({one.name: one.shape[::-1] for one in tensors})
    total = _elements(one.shape for one in tensors)
    return replace(
        found,
        linears=linears or found.linears,
        assumed=found.assumed and not linears,
        total_parameters=total,
        tied=not any("lm_head" in one.name or "embed_out" in one.name for one in tensors),
        stored_bytes=sum(one.end - one.begin for one in tensors),
        source=f"{found.source.partition(';')[0]}; safetensors headers: {total:,} parameters",
    )


def shape_of_config(config: Mapping[str, Any]) -> ModelShape | None:
    """Return what config.json says; KeyError or TypeError where it is none of a decoder."""
    # Models that also read images keep the sizes of their decoder one level down.
    inner_config = config.get("text_config")
    config = inner_config if isinstance(inner_config, Mapping) else config
    hidden = int(_first(config, "hidden_size", "n_embd", "d_model"))
    layers = int(_first(config, "num_hidden_layers", "n_layer", "num_layers"))
    heads = int(_first(config, "num_attention_heads", "n_head"))
    # GPT-2 writes null here, for four times the hidden size.
    inner = int(_first(config, "intermediate_size", "n_inner", "ffn_dim", missing=4 * hidden))
    kind = str(config.get("model_type", ""))
    # Given apart by models whose heads do not add up to the hidden size, such as Qwen3.
    head = int(config.get("head_dim") or hidden // heads)
    keys = int(config.get("num_key_value_heads") or heads)
    # transformers leaves out of config.json what is the default of the model's class.
    tied = bool(config.get("tie_word_embeddings", kind in ("gemma", "gemma2", "gpt2")))
    words = int(config["vocab_size"])
    if not all(0 < size <= _MOST for size in (hidden, layers, heads, inner, head, keys, words)):
        return None
    return _of_blocks(
        hidden=hidden,
        layers=layers,
        intermediate=inner,
        heads=heads,
        vocabulary=words,
        tied=tied,
        queries=heads * head,
        keys=keys * head,
        assumed=kind not in GATED,
        source=f"config.json: {layers} layers of {hidden}, {words} words"
        + ("" if kind in GATED else f"; blocks as in Llama are assumed for `{kind}`"),
    )


def blank_shape(blank: Scratch, words: int) -> ModelShape:
    head = blank.width // blank.heads
    shape = _of_blocks(
        hidden=blank.width,
        layers=blank.layers,
        intermediate=blank.feed_forward,
        heads=blank.heads,
        vocabulary=words,
        tied=True,
        queries=blank.heads * head,
        keys=blank.kv_heads * head,
        source=f"the recipe: {blank.layers} blank layers of {blank.width}, {words} words",
    )
    return replace(shape, stored_bytes=4 * shape.total_parameters)


def with_layers(shape: ModelShape, keep: str | int | Sequence[int]) -> ModelShape:
    count = sum(one < shape.layers for one in layer_numbers(keep, shape.layers))
    share = count / shape.layers
    linears = tuple(replace(one, count=round(one.count * share)) for one in shape.linears)
    # Outside the layers only the embeddings count; norms are a matter of thousands.
    outside = shape.embedding_parameters * (1 if shape.tied else 2)
    total = outside + round((shape.total_parameters - outside) * share)
    stored = shape.stored_bytes
    return replace(
        shape,
        layers=count,
        linears=linears,
        total_parameters=total,
        stored_bytes=stored and round(stored * total / shape.total_parameters),
        source=f"{shape.source}; {count} of {shape.layers} layers are kept",
    )


def shape_of_gguf(path: Path) -> ModelShape | None:
    found = read_gguf(path)
    if found is None:
        return None
    fields, tensors = found
    kind, named = fields.get("general.architecture", ""), {}
    for name, sizes in tensors.items():
        block, _, last = name.removesuffix(".weight").rpartition(".")
        if last in _GGUF_LINEAR:
            named[f"{block}.{_GGUF_LINEAR[last]}.weight"] = sizes
    try:
        hidden = int(fields[f"{kind}.embedding_length"])
        layers = int(fields[f"{kind}.block_count"])
        words = max(tensors["token_embd.weight"])
        total = _elements(tensors.values())
        return ModelShape(
            hidden=hidden,
            layers=layers,
            intermediate=int(fields[f"{kind}.feed_forward_length"]),
            heads=int(fields[f"{kind}.attention.head_count"]),
            vocabulary=words,
            tied="output.weight" not in tensors,
            linears=_linears(named),
            total_parameters=total,
            source=f"the header of {path.name}: {layers} layers of {hidden}, {words} words",
            stored_bytes=2 * total,
        )
    except (KeyError, TypeError, ValueError):
        return None


def read_gguf(path: Path) -> tuple[Mapping[str, Any], Mapping[str, list[int]]] | None:
    """Return the fields (lists as None) and the sizes of each tensor; None for a file that is no GGUF.

    No weight is read, no library needed. Source: https://github.com/ggml-org/ggml, docs/gguf.md.
    """
    try:
        with (
            open_regular(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole,
        ):
            header = _GgufHeader(whole)
            if whole[:4] != b"GGUF" or header.number("I") not in _GGUF_VERSIONS:
                return None
            tensors, fields = header.number("Q", _MOST_PARTS), header.number("Q", _MOST_PARTS)
            found = {header.text(): header.value(header.number("I")) for _ in range(fields)}
            return found, dict(header.tensor() for _ in range(tensors))
    except (OSError, ValueError, struct.error, KeyError, IndexError, TypeError, RecursionError):
        return None


class _GgufHeader:
    """Reads on from where it is; the file is mapped, so that only its beginning is touched."""

    def __init__(self, whole: mmap.mmap) -> None:
        self._whole, self._at = whole, 4

    def number(self, form: str, most: int | None = None) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._whole, self._at)
        self._at += struct.calcsize(f"<{form}")
        # Before anything is read or looped over: a count is the file's own word.
        if most is not None and value > most:
            raise ValueError(value)
        return value

    def text(self) -> str:
        length = self.number("Q", _MOST_VALUES)
        self._at += length
        return self._whole[self._at - length : self._at].decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind != _LIST:
            return self.number(_PLAIN[kind])
        # A list is passed over; a vocabulary is one, of a hundred thousand texts.
        inner, count = self.number("I"), self.number("Q", _MOST_VALUES)
        if inner in _PLAIN:
            self._at += struct.calcsize(f"<{_PLAIN[inner]}") * count
            return None
        if inner != _TEXT or count > _MOST_PARTS:
            raise ValueError(inner, count)
        whole, at, length = self._whole, self._at, struct.Struct("<Q").unpack_from
        for _ in range(count):
            at += 8 + length(whole, at)[0]
        self._at = at
        return None

    def tensor(self) -> tuple[str, list[int]]:
        name = self.text()
        sizes = [int(self.number("Q")) for _ in range(self.number("I", _MOST_SIZES))]
        self._at += 12  # its type, and where its bytes begin
        return name, sizes


def _first(config: Mapping[str, Any], *names: str, missing: Any = None) -> Any:
    found = next((config[name] for name in names if config.get(name)), missing)
    if found is None:
        raise KeyError(names[0])
    return found


def _of_blocks(*, queries: int, keys: int, **sizes: Any) -> ModelShape:
    """Return the shape of blocks as in Llama: matrices, embeddings, two norms a block and one at the end."""
    hidden, inner, layers = sizes["hidden"], sizes["intermediate"], sizes["layers"]
    matrices = {
        "q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys),
        "o_proj": (queries, hidden), "gate_proj": (hidden, inner), "up_proj": (hidden, inner),
        "down_proj": (inner, hidden),
    }  # fmt: skip
    linears = tuple(
        Linear(name=name, inputs=inputs, outputs=outputs, count=layers)
        for name, (inputs, outputs) in matrices.items()
    )
    shape = ModelShape(linears=linears, total_parameters=0, **sizes)
    embeddings = shape.embedding_parameters * (1 if shape.tied else 2)
    total = shape.linear_parameters + embeddings + (2 * layers + 1) * hidden
    return replace(shape, total_parameters=total)


def _linears(tensors: Mapping[str, Iterable[int]]) -> tuple[Linear, ...]:
    found: Counter[tuple[str, int, int]] = Counter()
    for name, sizes in tensors.items():
        size = list(sizes)
        if len(size) != _MATRIX or not name.endswith(".weight") or not _BLOCK.search(name):
            continue
        last = name.removesuffix(".weight").rpartition(".")[2]
        if "norm" in last or "ln_" in last:
            continue
        found[last, size[0], size[1]] += 1
    return tuple(
        Linear(name=name, inputs=inputs, outputs=outputs, count=count)
        for (name, inputs, outputs), count in found.items()
    )


def _elements(shapes: Iterable[Iterable[int]]) -> int:
    return sum(map(math.prod, shapes))
