"""A text for each row: whole answers, normalised ones, numbers, and how much wording is shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.metrics.families import overlap
from engine.metrics.families.fields import answer_in, normalised, number_in
from engine.metrics.predictions import Prediction
from engine.metrics.table import (
    Column,
    Measure,
    Sums,
    Table,
    flags,
    make_table,
    mean_of_rows,
    no_rows,
    share_of_rows,
)
from engine.recipe.model import Task
from engine.values import replace

ROUGES = ("rouge_1", "rouge_2", "rouge_l")


def tabulate(predictions: Sequence[Prediction], task: Task) -> Table:
    pattern = task.answer_pattern
    references = [row.references or (row.target,) for row in predictions]
    pairs = list(zip(predictions, references, strict=True))
    found = [overlap.overlap(row.text, held) for row, held in pairs]
    # `reshape` gives the array its columns where there are no rows, too.
    bleu = np.array([one.bleu for one in found]).reshape(-1, 10)
    chrf = np.array([one.chrf for one in found]).reshape(-1, 18)
    numbers = [any(number_in(text, pattern) is not None for text in held) for held in references]
    rouge = np.array([one.rouge for one in found], dtype=float).reshape(-1, len(ROUGES))
    most = np.array([one.most_rouge for one in found], dtype=float).reshape(-1, len(ROUGES))
    none = np.zeros(len(pairs))

    def matches(read: Callable[[str], object]) -> Column:
        answers = (None if row.label is None else read(row.text) for row in predictions)
        return flags(
            answer is not None and any(read(text) == answer for text in held)
            for answer, held in zip(answers, references, strict=True)
        )

    return make_table(
        predictions,
        {
            "valid": flags(row.label is not None for row in predictions),
            "exact": matches(str.strip),
            "normalised": matches(normalised),
            "answer": matches(lambda text: answer_in(text, pattern) if pattern else None),
            "numeric": matches(lambda text: number_in(text, pattern)),
            "asked": Column(none + bool(pattern)),
            "numbers": Column(np.array(numbers, dtype=float)),
            **{
                name: Column(rouge[:, place], most[:, place], none)
                for place, name in enumerate(ROUGES)
            },
            "bleu": Column(bleu, *(overlap.perfect_bleu(bleu, right=it) for it in (True, False))),
            "chrf": Column(chrf, *(overlap.perfect_chrf(chrf, right=it) for it in (True, False))),
        },
    )


def measures(table: Table) -> tuple[Measure, ...]:
    del table
    return (
        share_of_rows("exact_match", "exact"),
        share_of_rows("normalised_match", "normalised"),
        replace(
            share_of_rows("answer_match", "answer"),
            undefined=_lacking("asked", "task.answer_pattern is not set"),
        ),
        replace(
            share_of_rows("numeric_match", "numeric"),
            undefined=_lacking("numbers", "no reference holds a number"),
        ),
        *(mean_of_rows(name, name) for name in ROUGES),
        Measure(name="chrf", value=lambda sums: overlap.chrf_score(sums["chrf"])),
        Measure(name="bleu", value=lambda sums: overlap.bleu_score(sums["bleu"])),
        share_of_rows("valid_output", "valid"),
    )


def _lacking(column: str, why: str) -> Callable[[Sums], str]:
    return lambda sums: no_rows(sums) or ("" if sums[column] > 0 else why)
