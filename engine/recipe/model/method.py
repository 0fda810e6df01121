"""How, and by whom, the base model is trained: `method` and `backend`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.recipe.model.references import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Stop after `patience` evaluations without a lower validation loss."""

    patience: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How the base model is trained."""

    kind: Literal["lora", "qlora", "full"]
    rank: int
    alpha: int
    dropout: float
    target_modules: Literal["all_linear", "attention"] | tuple[str, ...]
    epochs: float
    learning_rate: float
    scheduler: Literal["cosine", "linear", "constant"]
    warmup_ratio: float
    weight_decay: float
    batch_size: int
    """Rows per optimizer step."""
    micro_batch_size: int
    """Rows per forward pass; divides `batch_size`."""
    max_length: int
    """Tokens, prompt and answer together."""
    evaluations_per_epoch: int
    early_stopping: EarlyStopping | None
    """None: train all epochs."""
    keep: Literal["best", "last"]
    """Which checkpoint becomes the model; best is the lowest validation loss."""
    gradient_checkpointing: bool
    seed: int
    seeds: tuple[int, ...] = ()
    """Further seeds: the same training with each, for how much of a number is luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Who trains."""

    name: str
    precision: Literal["auto", "bf16", "fp16", "fp32"]
    overrides: tuple[tuple[str, Json], ...]
    """Extra backend keys, from its closed list."""
