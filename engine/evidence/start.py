"""What training started from, where it was not a model as it came: a blank one, or some layers of another."""

from __future__ import annotations

from engine.values import Number, Value


class StartSummary(Value):
    """How the folder of the model that was trained came to be."""

    kind: str
    """`scratch` or `fewer_layers`."""
    parameters: int
    """That training began with."""
    parameters_before: int = 0
    """fewer_layers: of the whole model."""
    kept: tuple[int, ...] = ()
    """fewer_layers: numbers of the layers that are kept, counted from 0."""
    of: int = 0
    """fewer_layers: how many there were."""
    vocabulary: int = 0
    """scratch: tokens."""
    bytes_per_token: Number = 0.0
    """scratch: of the training text, on average."""
