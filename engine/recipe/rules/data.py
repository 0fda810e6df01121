"""Rules about the rows: where labels come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import inf
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.text.nearest import nearest
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_LABEL: Final = ("data", "label")


def targets_are_labels(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R212: relabel and bins lead to labels of the task."""
    labels, label = filled["task"].get("labels"), filled["data"].get("label")
    if labels is None or label is None:
        return
    for value, target in label["relabel"].items():
        if target not in labels:
            yield no_such_label(source, target, labels=labels, at=(*_LABEL, "relabel", value))
    for target in label["bins"]:
        if target not in labels:
            yield no_such_label(
                source, target, labels=labels, at=(*_LABEL, "bins", target), key=True
            )


def no_such_label(
    source: SourceText,
    name: str,
    *,
    labels: list[str],
    at: tuple[str | int, ...],
    key: bool = False,
) -> Problem:
    """Return the problem of a label that the task does not have."""
    near = nearest(name, labels)
    few = 12
    known = f"labels are {', '.join(labels)}" if len(labels) <= few else f"{len(labels)} labels"
    hint = f"{known}; did you mean `{near}`?" if near else known
    return source.problem("R212", f"no such label: {show(name)}", at=at, key=key, hint=hint)


def relabel_or_bins(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R214: a value is looked up or measured, not both."""
    label = filled["data"].get("label")
    if label is not None and label["relabel"] and label["bins"]:
        message = "relabel and bins exclude each other"
        yield source.problem("R214", message, at=(*_LABEL, "bins"), key=True)


def _bins(filled: Mapping[str, Any]) -> Mapping[str, Any]:
    bins: Mapping[str, Any] = filled["data"].get("label", {}).get("bins", {})
    return bins


def bins_are_intervals(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R213: no interval is empty, and no number lies in two of them."""
    bins = _bins(filled)
    ends = {label: (bin_.get("min", -inf), bin_.get("max", inf)) for label, bin_ in bins.items()}
    for label, (low, high) in ends.items():
        if low > high:
            message = f"is empty: min {low} is above max {high}"
            yield source.problem("R213", message, at=(*_LABEL, "bins", label), key=True)
    for (one, first), (other, second) in combinations(ends.items(), 2):
        low, high = max(first[0], second[0]), min(first[1], second[1])
        if low <= high:
            where = f"at {low}" if low == high else f"from {low} to {high}"
            message = f"overlaps {show(one)} {where}; both ends belong to a bin"
            yield source.problem("R213", message, at=(*_LABEL, "bins", other), key=True)


def bins_reach_every_label(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R223: a label without a bin would have no rows."""
    bins = _bins(filled)
    labels = filled["task"].get("labels", [])
    missing = [label for label in labels if label not in bins] if bins else []
    for label in missing:
        message = f"no bin leads to {show(label)}, so it would have no rows"
        yield source.problem("R223", message, at=(*_LABEL, "bins"), key=True)
