"""What must hold of the tuned model: `acceptance`, and the bounds that `export` shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from engine.recipe.model.data import Source

Direction = Literal["min", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One bound on one metric, such as `f1.negative` min 0.75."""

    metric: str
    direction: Direction
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MinGain:
    """The tuned model must beat the best baseline on `metric` by `min_gain`, paired."""

    metric: str
    min_gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxDrop:
    """The quantized file may lose at most `max_drop` of `metric` against the merged model."""

    metric: str
    max_drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A set of questions that have nothing to do with the task."""

    name: str
    kind: Literal["builtin", "multiple_choice", "cloze", "minimal_pairs"]
    source: Source | None = None
    """None for `builtin`."""
    limit: int = 0
    """Rows that are asked at most, drawn by seed; 0 for all."""
    columns: tuple[tuple[str, str], ...] = ()
    """(what it holds, column), where the names are not the usual ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What the model must still know after training."""

    probes: tuple[Probe, ...]
    max_drop: float
    """Of the share of all probes answered right, before minus after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What must hold on the holdout."""

    confidence: float
    decide_on: Literal["lower_bound", "point"]
    metrics: tuple[Threshold, ...]
    over_baselines: tuple[MinGain, ...]
    max_overfitting_gap: float | None
    """How far train may stand above validation in the kind's main metric; None: not gated."""
    over_previous: tuple[MaxDrop, ...] = ()
    """Paired, against the last accepted model of the recipe on the same holdout."""
    forgetting: Forgetting | None = None
    """None: not measured."""

    def in_order(self) -> Acceptance:
        """Return the same with its mappings sorted: their order in the file says nothing."""
        return replace(
            self,
            metrics=tuple(sorted(self.metrics, key=lambda one: (one.metric, one.direction))),
            over_baselines=tuple(sorted(self.over_baselines, key=lambda one: one.metric)),
            over_previous=tuple(sorted(self.over_previous, key=lambda one: one.metric)),
        )
