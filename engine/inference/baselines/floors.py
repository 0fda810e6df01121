"""Baselines without a language model: the most frequent answer, and a linear classifier."""

import lzma
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from operator import eq
from typing import Any

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.errors import StageError
from engine.inference import predict
from engine.inference.predict import label_predictions
from engine.metrics.predictions import Prediction
from engine.recipe.model import Task

END = 256
KNOWN = 1000
"""Training rows whose answers are compared with their labels."""
ODD = 6.0
"""Standard deviations; by chance one run in a thousand million is as far off."""
_SEPARATOR = b"\0"
"""The same for the compressor; text holds no such byte."""
_THOROUGH = {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME}
_GREEDY = {**_THOROUGH, "mode": lzma.MODE_FAST}
"""Worse by a tenth, but its output follows its input byte by byte, where the other one plans thousands ahead."""
_AHEAD = 4096 + 273
"""Bytes that the greedy encoder has to see before it writes: its window of choices, and the longest match."""
_PIECE = 1 << 13
"""Bytes given at once: of more, a part of the output would be held back until the next call."""


def by_frequency(fold: Fold) -> list[Prediction]:
    """Return what each row costs when every byte is written by its share of the training rows."""
    counts = Counter[int]()
    for row in fold.train:
        counts.update(row.input.encode())
    counts[END] = len(fold.train)
    # One is added to each: a byte that training never saw has no probability otherwise.
    total = math.log(sum(counts.values()) + END + 1)
    price = [total - math.log(counts[byte] + 1) for byte in range(END + 1)]
    return [
        _predicted(row, sum(price[byte] for byte in row.input.encode()) + price[END])
        for row in fold.judged
    ]


def by_xz(fold: Fold) -> list[Prediction]:
    """Return what each row adds to the file of a compressor that has read the training rows, and the rows before it."""
    known = _joined(fold.train)
    rows = [_joined([row]) for row in fold.judged]
    whole = b"".join((known, *rows))
    written = list(_written(whole, accumulate(map(len, (known, *rows)))))
    parts = [after - before for before, after in pairwise(written)]
    scale = (_compressed(whole) - _compressed(known)) / max(1, sum(parts))
    sizes = [scale * part for part in parts]
    pairs = zip(fold.judged, sizes, strict=True)
    return [_predicted(row, 8 * size * math.log(2)) for row, size in pairs]


def _joined(rows: Sequence[Example]) -> bytes:
    return b"".join(row.input.encode() + _SEPARATOR for row in rows)


def _compressed(text: bytes) -> int:
    return len(lzma.compress(text, format=lzma.FORMAT_RAW, filters=[_THOROUGH]))


def _written(text: bytes, ends: Iterator[int]) -> Iterator[int]:
    encoder = lzma.LZMACompressor(format=lzma.FORMAT_RAW, filters=[_GREEDY])
    # What it sees behind the last end only has it write what comes before.
    text += bytes(_AHEAD)
    read = size = 0
    for end in ends:
        until = end + _AHEAD
        while read < until:
            piece = text[read : min(read + _PIECE, until)]
            size += len(encoder.compress(piece))
            read += len(piece)
        yield size


def _predicted(row: Example, nats: float) -> Prediction:
    return predict.predicted(row, nats=nats, bytes=len(row.input.encode()))


def most_frequent(train: Sequence[Example], task: Task) -> str:
    """Return the most frequent training answer; among equals the first label, else the first text."""
    counts = Counter(row.target for row in train)
    places = {label: place for place, label in enumerate(task.labels)}
    return min(counts, key=lambda target: (-counts[target], places.get(target, 0), target))


def majority(fold: Fold, task: Task) -> list[Prediction]:
    return label_predictions(fold.judged, [most_frequent(fold.train, task)] * len(fold.judged))


def svm(
    train: Sequence[Example], judged: Sequence[Example], task: Task, *, seed: int
) -> list[Prediction]:
    """Return what a linear machine over TF-IDF says; with several labels, one machine each. StageError G510, G523."""
    from engine.inference.baselines.models import answered, target_array  # brings numpy
    from engine.runtime.text.tfidf import fit_svm  # brings scikit-learn

    if not judged:
        return []
    targets = target_array(train, task)
    fitted = fit_svm([row.input for row in train], targets, seed=seed)
    # With rows that it has learned, whose answers are known to be right nearly always.
    rows = [*train[:KNOWN], *judged]
    answers = fitted.answers([row.input for row in rows])
    if shift := moved_answers(target_array(rows, task).tolist(), answers.tolist()):
        what = f"the answers of tfidf_svm are those of the row {'after' if shift < 0 else 'before'} each"
        hint = "install the versions of scikit-learn and scipy that the package names"
        raise StageError.one("G523", what, path="baselines", hint=hint)
    return answered(judged, task, answers[len(rows) - len(judged) :])


def moved_answers(targets: Sequence[Any], answers: Sequence[Any]) -> int:
    """Return 1 where answers are right for the row before theirs, -1 for the row after, far more often; 0 otherwise."""
    own, given = list(map(str, targets)), list(map(str, answers))
    right = sum(map(eq, own, given))
    shares = Counter(given)
    # How many of them would be right in an order that has nothing to do with the rows'.
    share = sum(shares[one] for one in own) / len(own) ** 2
    spread = math.sqrt(len(own) * share * (1 - share))
    for shift, hits in ((1, map(eq, own, given[1:])), (-1, map(eq, own[1:], given))):
        found = sum(hits)
        if found > max(right, len(own) * share) + ODD * spread:
            return shift
    return 0
