"""Operations of the products that a step of LoRA needs, as model FLOPs utilisation counts them.

After Chowdhery et al., "PaLM" (2022), appendix B: what the mathematics asks of the tokens, whatever a way of computing
it does twice or for nothing. Of a frozen base model that is two products of each weight (forward, and backward to
the input), three of an adapter's, and six of each pair of tokens in attention (two forward, four backward).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

from safetensors import safe_open

from engine.runtime.rendering.rendered_files import IGNORED
from engine.runtime.training.batches import Row, shared_batch, shared_prefix

OPERATIONS = 2
"""Of one weight and one token in one product: it multiplies and adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many numbers of a base model and its adapter are multiplied."""

    weights: int
    """Of the linear layers, with each token."""
    adapter: int
    """Of the adapter of all linear layers, with each token."""
    attention: int
    """Of queries, and so of mixed values, with each pair of tokens, in all layers."""
    logits: int
    """With each token that is learned."""

    @classmethod
    def of(cls, base: Path, rank: int) -> Sizes:
        """Return the sizes of a base model of the Llama family."""
        config = json.loads((base / "config.json").read_text("utf-8"))
        with safe_open(base / "model.safetensors", framework="pt") as file:
            names = [name for name in file.keys() if "embed" not in name]  # noqa: SIM118 - no mapping
            shapes = [file.get_slice(name).get_shape() for name in names]
        linear = [shape for shape in shapes if len(shape) == 2]
        hidden = config["hidden_size"]
        return cls(
            weights=sum(rows * columns for rows, columns in linear),
            adapter=rank * sum(rows + columns for rows, columns in linear),
            attention=hidden * config["num_hidden_layers"],
            logits=hidden * config["vocab_size"],
        )


def operations_a_token(rows: Sequence[Row], sizes: Sizes, batch: int) -> float:
    """Return the operations that a token needs, of those that go through the model: common starts once, and fillings.

    Fillings need none, so they make the mean smaller.
    """
    groups = [*batched(rows, batch)]
    needed: int = sum(OPERATIONS * sum(_multiplied(group, sizes)) for group in groups)
    computed: int = sum(shared_batch(group)["input_ids"].numel() for group in groups)
    return needed / computed


def _multiplied(rows: Sequence[Row], sizes: Sizes) -> Iterator[int]:
    """Yield the weights and numbers that meet in the products of a batch, part by part."""
    start = shared_prefix(rows)
    rests = [_length(row) - start for row in rows]
    tokens = start + sum(rests)
    # Causal: each token with itself and those before it.
    pairs = _pairs(start) + sum(rest * start + _pairs(rest) for rest in rests)
    learned = sum(label != IGNORED for row in rows for label in row["labels"])
    yield 2 * tokens * sizes.weights
    yield 3 * tokens * sizes.adapter
    yield 6 * pairs * sizes.attention
    yield 2 * learned * sizes.logits


def _pairs(tokens: int) -> int:
    return tokens * (tokens + 1) // 2


def _length(row: Row) -> int:
    """Return the tokens before the last learned one: nothing is asked behind them."""
    return max(place for place, label in enumerate(row["labels"]) if label != IGNORED)
