"""A text for each row: whole answers, normalised ones, numbers, and how much wording is shared.

Every text in `references` is right; for a row the best one counts. An empty output is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from engine.evidence import ClassScores
from engine.metrics.families import overlap
from engine.metrics.families.matching import answer_in, normalised, number_in
from engine.metrics.measure import Measure, mean_of_rows, no_rows, rows, share_of_rows
from engine.metrics.predictions import Prediction
from engine.metrics.table import Block, Floats, Sums, Table, make_table
from engine.recipe.model import Task

MATCHES = ("exact", "normalised", "answer", "numeric")
ROUGES = ("rouge_1", "rouge_2", "rouge_l")


def tabulate(predictions: Sequence[Prediction], task: Task) -> Table:
    """Compare each output with its references, in every way."""
    pattern = task.answer_pattern
    references = [row.references or (row.target,) for row in predictions]
    pairs = list(zip(predictions, references, strict=True))
    none, every = np.zeros(len(pairs)), np.ones(len(pairs))
    found = [overlap.overlap(row.text, held) for row, held in pairs]
    # `reshape` gives the array its columns where there are no rows, too.
    bleu = np.array([one.bleu for one in found]).reshape(-1, 10)
    chrf = np.array([one.chrf for one in found]).reshape(-1, 18)
    numbers = [any(number_in(text, pattern) is not None for text in held) for held in references]
    wrong: dict[str, Block] = {"valid": none, **dict.fromkeys((*MATCHES, *ROUGES), none)}
    return make_table(
        predictions,
        answered={
            "rows": every,
            "valid": _flags(row.label is not None for row in predictions),
            "exact": _flags(_matches(*pair, str.strip) for pair in pairs),
            "normalised": _flags(_matches(*pair, normalised) for pair in pairs),
            "answer": _flags(
                _matches(*pair, lambda text: _answer(text, pattern)) for pair in pairs
            ),
            "numeric": _flags(
                _matches(*pair, lambda text: number_in(text, pattern)) for pair in pairs
            ),
            "asked": every * bool(pattern),
            "numbers": _flags(numbers),
            **_columns([one.rouge for one in found]),
            "bleu": bleu,
            "chrf": chrf,
        },
        right={
            "valid": every,
            **dict.fromkeys(MATCHES, every),
            **_columns([one.most_rouge for one in found]),
            "bleu": overlap.perfect_bleu(bleu, right=True),
            "chrf": overlap.perfect_chrf(chrf, right=True),
        },
        wrong={
            **wrong,
            "bleu": overlap.perfect_bleu(bleu, right=False),
            "chrf": overlap.perfect_chrf(chrf, right=False),
        },
    )


def measures(table: Table) -> tuple[Measure, ...]:
    """Return the metrics."""
    del table
    return (
        share_of_rows("exact_match", "exact"),
        share_of_rows("normalised_match", "normalised"),
        replace(share_of_rows("answer_match", "answer"), undefined=_no_pattern),
        replace(share_of_rows("numeric_match", "numeric"), undefined=_no_numbers),
        *(mean_of_rows(name, name) for name in ROUGES),
        Measure(
            name="chrf",
            value=lambda sums: overlap.chrf_score(sums["chrf"]),
            n=rows,
            undefined=no_rows,
        ),
        Measure(
            name="bleu",
            value=lambda sums: overlap.bleu_score(sums["bleu"]),
            n=rows,
            undefined=no_rows,
        ),
        share_of_rows("valid_output", "valid"),
    )


def classes(sums: Sums, names: Sequence[str]) -> tuple[ClassScores, ...]:
    """Return nothing: texts have no classes."""
    del sums, names
    return ()


def _matches(row: Prediction, references: Sequence[str], read: Callable[[str], object]) -> bool:
    """Tell whether what is read of the output is what is read of one of the references."""
    answer = None if row.label is None else read(row.text)
    return answer is not None and any(read(text) == answer for text in references)


def _answer(text: str, pattern: str) -> str | None:
    return answer_in(text, pattern) if pattern else None


def _flags(values: Iterable[bool]) -> Floats:
    return np.array(list(values), dtype=float)


def _columns(rouge: Sequence[tuple[float, ...]]) -> dict[str, Block]:
    values = np.array(rouge, dtype=float).reshape(-1, len(ROUGES))
    return {name: values[:, place] for place, name in enumerate(ROUGES)}


def _no_pattern(sums: Sums) -> str:
    return no_rows(sums) or ("" if sums["asked"] > 0 else "task.answer_pattern is not set")


def _no_numbers(sums: Sums) -> str:
    return no_rows(sums) or ("" if sums["numbers"] > 0 else "no reference holds a number")
