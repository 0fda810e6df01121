"""General text that was trained beside the rows."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What was replayed; none of it is a row of the task."""

    sampled: bool
    """The base model wrote it; else it was given."""
    share: float
    """As the recipe asks for it: of the tokens that are learned in an epoch."""
    reached: float
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
    seconds: float = 0.0
    """What sampling took when it was done; 0 for given text."""
