"""What leaves, and what it must keep: `export`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from engine.recipe.model.acceptance import MaxDrop, Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What leaves, and what the quantized file must still do."""

    formats: tuple[Literal["safetensors", "gguf", "ollama"], ...]
    quantizations: tuple[str, ...]
    """llama.cpp's names, in the order of the recipe: Q4_K_M, Q8_0, …; the smallest that passes leaves."""
    max_drops: tuple[MaxDrop, ...]
    """`after_quantization.<metric>.max_drop`."""
    thresholds: tuple[Threshold, ...]
    """`after_quantization.<metric>.min|max`, among them `agreement` with the merged model."""
    importance_matrix: bool = False
    """From the training split."""
    min_parity: float = 0.98
    """Agreement of adapter and merged model, and of merged model and 16-bit GGUF file."""

    def in_order(self) -> Export:
        """Return the same with its mappings and sets sorted: their order in the file says nothing."""
        return replace(
            self,
            formats=tuple(sorted(self.formats)),
            max_drops=tuple(sorted(self.max_drops, key=lambda one: one.metric)),
            thresholds=tuple(sorted(self.thresholds, key=lambda one: (one.metric, one.direction))),
        )

    @property
    def has_quantized_file(self) -> bool:
        """One of the formats is, or runs, a quantized file."""
        return not {"gguf", "ollama"}.isdisjoint(self.formats)
