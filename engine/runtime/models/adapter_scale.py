"""The rank of an adapter's pair of factors and how strongly it acts, as the adapter's configuration says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from peft.utils.other import get_pattern_key


def rank_of(config: Mapping[str, Any], module: str) -> int:
    """Return the rank that a module's factors have; `module` is its name in the base model."""
    ranks = config.get("rank_pattern") or {}
    rank: int = ranks.get(get_pattern_key(ranks, module), config["r"])
    return rank


def scale_of(config: Mapping[str, Any], module: str, rank: int) -> float:
    """Return what B A of a module is multiplied by: alpha / rank, or alpha / sqrt(rank) for a rank-stabilized one.

    `module` is its name in the base model, by which it may have an alpha of its own.
    """
    alphas = config.get("alpha_pattern") or {}
    alpha: float = alphas.get(get_pattern_key(alphas, module), config["lora_alpha"])
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
