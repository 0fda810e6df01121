"""What a model answered to the holdout, as a lock keeps it: four bytes a row. Not a stage.

Answers are hashed, since texts may be long or private; likelihoods are kept as 32-bit numbers. Beside
the same rows a hash tells whether the answer is the same, and mostly which one it was: the right
one, or one of few labels.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.metrics.predictions import Prediction
from engine.recipe.model import Task

BYTES = 4
HASHED, WEIGHED = "answers", "nats"
UNREADABLE = "?"
"""Stands for an output that is no answer of the task; its text is not known any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the model of a lock answered to the rows of some predictions."""

    same: tuple[bool, ...]
    """Whether each row has the same answer; empty for kinds that have none."""
    predictions: tuple[Prediction, ...] | None
    """None where an answer cannot be told from its hash."""


def answers_to_json(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return the part of a lock: one entry a row, in the order of the rows' ids."""
    ordered = sorted(predictions, key=lambda row: row.id)
    weighed = any(row.nats is not None for row in ordered)
    entries = b"".join(_nats(row) if weighed else _hash(row.label, row.text) for row in ordered)
    return {
        "way": WEIGHED if weighed else HASHED,
        "rows": len(ordered),
        "entries": base64.b64encode(entries).decode(),
    }


def answered_before(
    recorded: Mapping[str, Any], predictions: Sequence[Prediction], task: Task
) -> Before | None:
    """Compare recorded answers with answers to the same rows; None where they are to others."""
    ordered = sorted(predictions, key=lambda row: row.id)
    try:
        joined = base64.b64decode(recorded["entries"], validate=True)
    except ValueError:
        return None
    if len(joined) != BYTES * len(ordered) or recorded["rows"] != len(ordered):
        return None
    entries = [joined[at : at + BYTES] for at in range(0, len(joined), BYTES)]
    pairs = list(zip(ordered, entries, strict=True))
    if recorded["way"] == WEIGHED:
        rebuilt = [replace(row, nats=struct.unpack("<f", entry)[0]) for row, entry in pairs]
        return Before(same=(), predictions=tuple(rebuilt))
    same = tuple(_hash(row.label, row.text) == entry for row, entry in pairs)
    told = [_told(row, entry, task) for row, entry in pairs]
    known = [row for row in told if row is not None]
    whole = len(known) == len(told)
    return Before(same=same, predictions=tuple(known) if whole else None)


def _told(row: Prediction, entry: bytes, task: Task) -> Prediction | None:
    """Return the row with the answer that has the hash, where it is one that can be guessed."""
    plain = replace(row, probability=None, probabilities=())
    if _hash(row.label, row.text) == entry:
        return plain
    for label in dict.fromkeys((row.target, *task.labels)):
        if _hash(label, label) == entry:
            return replace(plain, label=label, text=label)
    if task.kind == "classification":  # every label was tried: it was no answer
        return replace(plain, label=None, text=UNREADABLE)
    return None


def _hash(label: str | None, text: str) -> bytes:
    said = f"!{text}" if label is None else f"={label}"
    return hashlib.sha256(said.encode(errors="surrogatepass")).digest()[:BYTES]


def _nats(row: Prediction) -> bytes:
    return struct.pack("<f", math.nan if row.nats is None else row.nats)
