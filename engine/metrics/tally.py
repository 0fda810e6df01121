"""Counting: what metrics are made of, for one set of rows or thousands of resamples at once.

All arrays carry any number of leading axes (one entry a resample) before the axis of the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.metrics.predictions import Prediction

Floats = NDArray[Any]
"""Counts or weights, or ratios of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sufficient counts of one model on a set of rows; weights where rows are weighted."""

    rows: Floats
    """Shape (…): all rows."""
    valid: Floats
    """Shape (…): rows whose output is a label at all."""
    support: Floats
    """Shape (…, labels): rows of each class."""
    predicted: Floats
    """Shape (…, labels): rows given each label."""
    right: Floats
    """Shape (…, labels): rows of each class given its own label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """Targets and outputs of several models on the same rows, as label numbers."""

    labels: tuple[str, ...]
    targets: Floats
    """Shape (rows,)."""
    outputs: tuple[Floats, ...]
    """One array of shape (rows,) a model; `len(labels)` stands for invalid output."""


def code(labels: Sequence[str], *models: Sequence[Prediction]) -> Coded:
    """Turn labels into numbers, for one or more models' predictions on the same rows, paired by id.

    Raises:
        ValueError: the models did not predict the same rows; that is a bug, never the user's data.

    """
    number = {label: position for position, label in enumerate(labels)}
    invalid = len(labels)
    order = [prediction.id for prediction in models[0]]
    by_id = [{prediction.id: prediction for prediction in model} for model in models]
    if any(len(model) != len(order) or model.keys() != set(order) for model in by_id):
        raise ValueError("predictions to compare stand on different rows")
    return Coded(
        labels=tuple(labels),
        targets=np.array([number[prediction.target] for prediction in models[0]], dtype=np.intp),
        outputs=tuple(
            np.array([number.get(model[key].label or "", invalid) for key in order], dtype=np.intp)
            for model in by_id
        ),
    )


def metric_values(name: str, counts: Tally, *, labels: Sequence[str]) -> Floats:
    """Compute one metric for every leading entry, shape (…); a ratio over nothing counts as 0.

    The same convention as scikit-learn's `zero_division=0`. Whether a metric is *defined* on the
    rows at hand is decided by `engine.metrics.classification`, not here.
    """
    kind, _, label = name.partition(".")
    if kind == "accuracy":
        return _ratio(counts.right.sum(axis=-1), counts.rows)
    if kind == "valid_output":
        return _ratio(counts.valid, counts.rows)
    per_class = _per_class(kind.removeprefix("macro_"), counts)
    if kind.startswith("macro_"):
        return per_class.mean(axis=-1)
    return per_class[..., list(labels).index(label)]


def _per_class(kind: str, counts: Tally) -> Floats:
    if kind == "precision":
        return _ratio(counts.right, counts.predicted)
    if kind == "recall":
        return _ratio(counts.right, counts.support)
    if kind == "f1":
        return _ratio(2 * counts.right, counts.predicted + counts.support)
    raise KeyError(kind)


def _ratio(above: Floats, below: Floats) -> Floats:
    above, below = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
