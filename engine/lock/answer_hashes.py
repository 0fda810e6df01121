"""What a model answered to the holdout, as a lock keeps it: four bytes a row.

Answers are hashed, since texts may be long or private; likelihoods are kept as 32-bit numbers. With the same rows at
hand a hash shows whether the answer is the same, and mostly which one it was: the right one, or one of few labels.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections import Counter
from collections.abc import Sequence

from engine.kinds import AnswerForm
from engine.lock.file import AnswerFacts
from engine.metrics.predictions import Prediction
from engine.recipe.model import Task
from engine.values import Value, replace

BYTES = 4
HASHES, LIKELIHOODS = "answers", "nats"
UNREADABLE = "?"
"""Stands for an output that is no answer of the task; its text is not known any more."""


class LockedAnswers(Value):
    """What the model of a lock answered to the rows of some predictions."""

    same: tuple[bool, ...]
    """Whether each row has the same answer; empty for kinds that have none."""
    rows: tuple[Prediction, ...]
    """Every row; what its hash does not reveal counts as an output that is no answer."""
    unknown: int = 0
    """Rows whose answer its hash does not reveal: it is neither today's nor a right one. Of preferences all rows."""

    @property
    def predictions(self) -> tuple[Prediction, ...] | None:
        """Return the rows; None where one answer is unknown."""
        return None if self.unknown else self.rows


def answer_facts(predictions: Sequence[Prediction]) -> AnswerFacts:
    """Return the part of a lock: one entry a row, in the order of the rows' ids."""
    ordered = sorted(predictions, key=lambda row: row.id)
    by_likelihood = any(row.nats is not None for row in ordered)
    entries = b"".join(
        _nats(row) if by_likelihood else _hash(row.label, row.text) for row in ordered
    )
    return {
        "way": LIKELIHOODS if by_likelihood else HASHES,
        "rows": len(ordered),
        "entries": base64.b64encode(entries).decode(),
    }


def match_answers(
    recorded: AnswerFacts, predictions: Sequence[Prediction], task: Task
) -> LockedAnswers | None:
    """Compare recorded answers with answers to the same rows; None where they are to others."""
    ordered = sorted(predictions, key=lambda row: row.id)
    if not has_entries(recorded) or recorded["rows"] != len(ordered):
        return None
    # the lock holds no ids, which would take more room than the answers: place in the order of
    # ids is all that pairs them
    pairs = list(zip(ordered, _entries(recorded), strict=True))
    if recorded["way"] == LIKELIHOODS:
        rebuilt = [_with_nats(row, entry) for row, entry in pairs]
        # which answer of a pair was preferred stands on likelihoods that are not kept
        unknown = sum(row.margin is not None for row in ordered)
        return LockedAnswers(same=(), rows=tuple(rebuilt), unknown=unknown)
    same = tuple(_hash(row.label, row.text) == entry for row, entry in pairs)
    known = [_matching_answer(row, entry, task) for row, entry in pairs]
    rows = [answer or _unreadable(row) for answer, row in zip(known, ordered, strict=True)]
    return LockedAnswers(same=same, rows=tuple(rows), unknown=known.count(None))


def _matching_answer(row: Prediction, entry: bytes, task: Task) -> Prediction | None:
    """Return the row with the answer that has the hash, where it is one that can be guessed."""
    plain = replace(row, probability=None, probabilities=())
    # the same answer as now; only its probabilities are unknown
    if _hash(row.label, row.text) == entry:
        return plain
    for label in dict.fromkeys((row.target, *row.references, *task.labels)):
        if _hash(label, label) == entry:
            return replace(plain, label=label, text=label)
    # With every label tried, it was no answer.
    return _unreadable(row) if task.spec.answer is AnswerForm.LABEL else None


def _with_nats(row: Prediction, entry: bytes) -> Prediction:
    """Return the row as it was, with no rating: that of now is of another model."""
    return replace(row, nats=struct.unpack("<f", entry)[0], margin=None, rejected_nats=None)


def _unreadable(row: Prediction) -> Prediction:
    return replace(row, label=None, text=UNREADABLE, probability=None, probabilities=())


def _hash(label: str | None, text: str) -> bytes:
    # the first character keeps a label apart from an unreadable output of the same letters
    answer = f"!{text}" if label is None else f"={label}"
    return hashlib.sha256(answer.encode(errors="surrogatepass")).digest()[:BYTES]


def label_counts(recorded: AnswerFacts, labels: Sequence[str]) -> dict[str | None, int]:
    """Return how often recorded answers are each label; None counts those that are none of them."""
    names = {_hash(label, label): label for label in labels}
    found = Counter(map(names.get, _entries(recorded)))
    # every label stands in it, also with 0, since it is compared with the columns of a confusion
    # matrix
    return {label: found[label] for label in (*labels, None)}


def _entries(recorded: AnswerFacts) -> list[bytes]:
    joined = base64.b64decode(recorded["entries"])
    return [joined[at : at + BYTES] for at in range(0, len(joined), BYTES)]


def has_entries(recorded: AnswerFacts) -> bool:
    """Whether recorded answers have an entry for each row that they speak of."""
    try:
        joined = base64.b64decode(recorded["entries"], validate=True)
    except ValueError:
        return False
    return len(joined) == BYTES * recorded["rows"] and recorded["way"] in (HASHES, LIKELIHOODS)


def _nats(row: Prediction) -> bytes:
    return struct.pack("<f", math.nan if row.nats is None else row.nats)
