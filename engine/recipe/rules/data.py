"""Rules about the rows: where labels come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import inf
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.rules.rule import rule
from engine.recipe.text.nearest import nearest
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_LABEL: Final = ("data", "label")


@rule("task.labels", "data.label")
def targets_are_labels(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """Relabel and bins lead to labels of the task (R212)."""
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


@rule("data.label")
def relabel_or_bins(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R214: relabel and bins together.

    A value is looked up or measured, not both.

    Fix: Keep one of them.

    Wrong:
        data:
          label:
            column: stars
            relabel: {"5": bug}
            ▸bins: {billing: {max: 0}, bug: {min: 1}}

    Right:
        data:
          label:
            column: stars
            bins: {billing: {max: 0}, bug: {min: 1}}
    """
    label = filled["data"].get("label")
    if label is not None and label["relabel"] and label["bins"]:
        message = "relabel and bins exclude each other"
        yield source.problem("R214", message, at=(*_LABEL, "bins"), key=True)


def _bins(filled: Mapping[str, Any]) -> Mapping[str, Any]:
    bins: Mapping[str, Any] = filled["data"].get("label", {}).get("bins", {})
    return bins


@rule("data.label")
def bins_are_intervals(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R213: bins overlap or are empty.

    Both ends belong to a bin, so a number could have two labels, or a bin no rows.

    Fix: Move the ends apart.

    Wrong:
        data:
          label:
            column: stars
            bins:
              billing: {max: 1}
              ▸bug: {min: 1}

    Right:
        data:
          label:
            column: stars
            bins:
              billing: {max: 1}
              bug: {min: 2}
    """
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


@rule("task.labels", "data.label")
def bins_reach_every_label(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R223: a label that no bin leads to.

    With bins, a label without one has no rows: it can be neither learned nor judged.

    Fix: Add a bin, or delete the label.

    Wrong:
        task:
          labels: [billing, bug]
        data:
          label:
            column: stars
            ▸bins:
              billing: {max: 1}

    Right:
        task:
          labels: [billing, bug]
        data:
          label:
            column: stars
            bins:
              billing: {max: 1}
              bug: {min: 2}
    """
    bins = _bins(filled)
    labels = filled["task"].get("labels", [])
    missing = [label for label in labels if label not in bins] if bins else []
    for label in missing:
        message = f"no bin leads to {show(label)}, so it would have no rows"
        yield source.problem("R223", message, at=(*_LABEL, "bins"), key=True)
