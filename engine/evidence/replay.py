"""General text that was trained beside the rows."""

from __future__ import annotations

from engine.values import Number, Value, field


class ReplayResult(Value):
    """What was replayed; none of it is a row of the task."""

    sampled: bool
    """The base model wrote it; else it was given."""
    share: Number
    """As the recipe asks for it: of the tokens that are learned in an epoch."""
    reached: Number
    """As it is."""
    texts: int
    """Samples, or blocks of at most `method.max_length` tokens."""
    tokens: int
    """Learned of them in an epoch."""
    own_tokens: int
    """Learned of the task's rows in an epoch."""
    read: int
    """Documents that were read, or samples that were drawn."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Of those, by the reason why."""
    seconds: Number = 0.0
    """What sampling took when it was done; 0 for given text."""
