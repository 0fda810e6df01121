"""The label of a row: a column, perhaps renamed, perhaps a number that falls into a bin."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from engine.data.examples.template import as_text, found_at, lookup
from engine.recipe.model import Bin, LabelSpec
from engine.recipe.prompt import NO_LABEL
from engine.recipe.text.words import folded, unlike

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SEPARATORS = (";", "|", ",", "/", "+", "&", " ")
"""What stands between the labels of a text where it is not what the recipe says."""


class NoBinError(Exception):
    """The number of a row falls into no bin; such rows are left out and counted."""


class NoNumberError(Exception):
    """Bins need a number; the message holds what stands there."""


def label_of(values: Mapping[str, Any], spec: LabelSpec) -> str:
    """Return the label of a row after relabelling or binning; `` for a missing or blank value.

    Whether it is one of the task's labels is not asked here. `MissingColumnError`,
    `UnusableValueError`, `NoNumberError` or `NoBinError` where there is none.
    """
    value = lookup(values, spec.column)
    text = as_text(value)
    if text is None or not text.strip():
        return ""
    if spec.bins:
        return _binned(value, text, spec.bins)
    return dict(spec.relabel).get(text, text) if spec.relabel else text


def labels_of(values: Mapping[str, Any], spec: LabelSpec) -> tuple[str, ...]:
    """Return the labels of a row after relabelling, each once, in the order of the row.

    A list, or a text that `separator` divides; null and blanks are no label. Whether they are
    labels of the task is not asked here. `MissingColumnError` or `UnusableValueError`.
    """
    value = found_at(values, spec.column) if spec.missing else lookup(values, spec.column)
    texts = [as_text(item) for item in value] if isinstance(value, list) else _divided(value, spec)
    relabel = dict(spec.relabel)
    labels = (relabel.get(text, text) for text in texts if text and text.strip())
    return tuple(dict.fromkeys(labels))


def _divided(value: object, spec: LabelSpec) -> list[str]:
    text = as_text(value)
    return [piece.strip() for piece in text.split(spec.separator)] if text else []


def _binned(value: object, text: str, bins: Sequence[Bin]) -> str:
    # Not `float`: it also takes `nan`, `inf` and `1_000`, which no file means as a number.
    if isinstance(value, bool) or not NUMBER.fullmatch(text.strip()):
        raise NoNumberError(text)
    number = float(text)
    # Both ends belong to a bin, so R213 lets no two of them share one: the first is the only one.
    for bin_ in bins:
        above = bin_.min is None or number >= bin_.min
        below = bin_.max is None or number <= bin_.max
        if above and below:
            return bin_.label
    raise NoBinError


def near_label(value: str, labels: Sequence[str]) -> str | None:
    """Return the label that `value` most likely misspells: case, spaces, `-` for `_`, or a typo.

    None where it could be several of them.
    """
    same = [label for label in labels if folded(label) == folded(value)]
    plain: dict[str, list[str]] = {}
    for label in labels:
        plain.setdefault(_plain(label), []).append(label)
    # without a letter, as an emoji is, nothing is near it
    near = difflib.get_close_matches(_plain(value), plain.keys() - {""}, n=1, cutoff=0.75)
    found = same or (plain[near[0]] if near else [])
    return found[0] if len(found) == 1 else None


def meant(value: str, labels: Sequence[str], *, several: bool) -> str:
    """Return what `value`, which is no label, was likely meant to be, to end a sentence; or nothing.

    `several`: it may be labels with another separator between them.
    """
    if several and value.casefold() == NO_LABEL:
        return ": a row without labels is blank there"
    separator = _separator(value, labels) if several else None
    if separator is not None:
        return f', write `data.label.separator: "{separator}"`'
    near = near_label(value, labels)
    return f", did you mean `{near}`{unlike(value, near)}?" if near else ""


def _separator(value: str, labels: Sequence[str]) -> str | None:
    for mark in SEPARATORS:
        parts = {part.strip() for part in value.split(mark)} - {""}
        if mark in value and parts and parts.issubset(labels):
            return mark
    return None


def _plain(text: str) -> str:
    """The letters and digits of a text, with the marks that are a part of them."""
    letters = (one for one in text if unicodedata.category(one)[0] in "LMN")
    return unicodedata.normalize("NFC", "".join(letters)).casefold()
