"""What the tuned model has to beat: `baselines`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.recipe.model.references import Outside, PathRef, Reference

BaselineKind = Literal[
    "majority", "tfidf_svm", "zero_shot", "few_shot", "retrieved_few_shot", "model"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model that an OpenAI-compatible server serves."""

    url: str
    model: str
    """What the server calls it."""
    api_key_env: str
    """The environment variable that holds the key; empty for none."""
    input_price: float
    """Of a million tokens read."""
    output_price: float
    """Of a million tokens written."""
    withheld: tuple[Outside, ...] = ()
    """What asking it would send that was not allowed: then it is not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Something that answers the holdout without the recipe's training."""

    kind: BaselineKind
    name: str
    """What reports and files call it: the kind, or the name that the recipe gives a model."""
    shots: int = 0
    """Answered examples in each prompt; 0 for the kind's own number (a model: none)."""
    ref: Reference | None = None
    """model: a transformers model."""
    gguf: PathRef | None = None
    """model: a file that llama.cpp runs."""
    endpoint: Endpoint | None = None
