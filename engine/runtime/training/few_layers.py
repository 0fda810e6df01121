"""A model with its first layers alone, for looks that take a whole pass and back: its layers are of few kinds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch

FEWEST: Final = 8
"""Layers that stay, and more until one of each kind is among them."""
NUMBERS: Final = ("layer_idx", "layer_id", "idx")
"""Settings that say which layer it is."""
PLAIN: Final = (bool, int, float, str, type(None))


@contextlib.contextmanager
def few_layers(model: Any) -> Iterator[bool]:
    """Leave the layers behind the first ones out; False where none is left out."""
    decoder: Any = getattr(model, "get_decoder", lambda: None)()
    layers = getattr(decoder, "layers", None)
    if not isinstance(layers, torch.nn.ModuleList) or (count := _needed(layers)) == len(layers):
        yield False
        return
    decoder.layers = layers[:count]
    try:
        yield True
    finally:
        decoder.layers = layers


def _needed(layers: torch.nn.ModuleList) -> int:
    kinds = [_kind(layer) for layer in layers]
    last = max((kinds.index(kind) for kind in kinds), default=0)
    return min(max(FEWEST, last + 1), len(kinds))


def _kind(layer: torch.nn.Module) -> tuple[object, ...]:
    """Return what sets layers apart: the types of their parts, their settings, and the shapes of their weights."""
    modules = ((name, type(one), _settings(vars(one))) for name, one in layer.named_modules())
    weights = (
        (name, tuple(one.shape), one.dtype, one.requires_grad)
        for name, one in layer.named_parameters()
    )
    return (*modules, *weights)


def _settings(attributes: Mapping[str, Any]) -> str:
    found = [
        (name, value)
        for name, value in attributes.items()
        if not name.startswith("_") and name not in NUMBERS and _is_plain(value)
    ]
    return repr(found)


def _is_plain(value: object) -> bool:
    # The scales of an adapter stand in a dictionary.
    parts = value.values() if isinstance(value, dict) else (value,)
    return all(isinstance(one, PLAIN) for one in parts)
