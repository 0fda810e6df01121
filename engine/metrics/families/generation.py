"""A text a row: exact and normalised matches, numbers, and overlap by ROUGE, BLEU and chrF."""

import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from engine.errors import needs_extra
from engine.metrics.families.fields import answer_in, normalised, number_in
from engine.metrics.predictions import Prediction
from engine.metrics.table import (
    Column,
    Floats,
    Measure,
    Table,
    flags,
    make_table,
    mean_of_rows,
    ratio,
    share_of_rows,
    unless,
)
from engine.recipe.model import Task
from engine.recipe.text.words import WORD
from engine.values import Value, replace

ROUGES = ("rouge_1", "rouge_2", "rouge_l")


def tabulate(predictions: Sequence[Prediction], task: Task) -> Table:
    pattern = task.answer_pattern
    references = [row.references or (row.target,) for row in predictions]
    pairs = list(zip(predictions, references, strict=True))
    found = [overlap_statistics(row.text, held) for row, held in pairs]
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
            "bleu": Column(bleu, *(perfect_bleu(bleu, right=it) for it in (True, False))),
            "chrf": Column(chrf, *(perfect_chrf(chrf, right=it) for it in (True, False))),
        },
    )


def measures(table: Table) -> tuple[Measure, ...]:
    del table
    return (
        share_of_rows("exact_match", "exact"),
        share_of_rows("normalised_match", "normalised"),
        replace(
            share_of_rows("answer_match", "answer"),
            undefined=unless(lambda sums: sums["asked"], "task.answer_pattern is not set"),
        ),
        replace(
            share_of_rows("numeric_match", "numeric"),
            undefined=unless(lambda sums: sums["numbers"], "no reference holds a number"),
        ),
        *(mean_of_rows(name, name) for name in ROUGES),
        Measure(name="chrf", value=lambda sums: chrf_score(sums["chrf"])),
        Measure(name="bleu", value=lambda sums: bleu_score(sums["bleu"])),
        share_of_rows("valid_output", "valid"),
    )


_LIBRARY_ROUGES = ("rouge1", "rouge2", "rougeL")
ORDERS = 4
CHARACTER_ORDERS = 6


class OverlapStatistics(Value):
    rouge: tuple[float, ...]
    most_rouge: tuple[float, ...]
    """ROUGE of a reference itself: 0 where it has too few words."""
    bleu: tuple[float, ...]
    """Length, reference length, right n-grams by order, n-grams by order."""
    chrf: tuple[float, ...]
    """For each order: n-grams, those of the best reference, and those in both."""


@lru_cache(maxsize=1 << 16)
def overlap_statistics(text: str, references: tuple[str, ...]) -> OverlapStatistics:
    with needs_extra("judging generated texts needs rouge-score and sacrebleu", "metrics"):
        rouge, (bleu, chrf) = _rouge(), _sacrebleu()
    # sacrebleu takes a list of rows for each number of a reference
    streams = [[reference] for reference in references]
    scores = rouge.score_multi(list(references), text)
    words = max(len(WORD.findall(reference)) for reference in references)
    return OverlapStatistics(
        rouge=tuple(float(scores[name].fmeasure) for name in _LIBRARY_ROUGES),
        most_rouge=(float(words > 0), float(words > 1), float(words > 0)),
        bleu=tuple(map(float, bleu._extract_corpus_statistics([text], streams)[0])),  # noqa: SLF001 - sums of these are the score
        chrf=tuple(map(float, chrf._extract_corpus_statistics([text], streams)[0])),  # noqa: SLF001 - the same
    )


def perfect_bleu(bleu: Floats, *, right: bool) -> Floats:
    """Return BLEU's statistics of texts as long as their references, all n-grams right, or none."""
    length = bleu[:, 1:2]
    totals = np.maximum(0, length - np.arange(ORDERS))
    return np.hstack((length, length, totals * right, totals))


def perfect_chrf(chrf: Floats, *, right: bool) -> Floats:
    """Return chrF's statistics of texts as long as their references, all n-grams right, or none."""
    counts = chrf.reshape(-1, CHARACTER_ORDERS, 3)[:, :, 1]
    return np.stack((counts, counts, counts * right), axis=2).reshape(chrf.shape)


def bleu_score(sums: Floats) -> Floats:
    """Compute corpus BLEU on 0 to 1 from sums of shape (…, 10)."""
    length, reference = sums[..., 0], sums[..., 1]
    right, totals = sums[..., 2 : 2 + ORDERS], sums[..., 2 + ORDERS :]
    missing = np.cumsum(right == 0, axis=-1)  # each order without a match counts half of the last
    precisions = np.where(
        right == 0, ratio(np.ones(1), totals) / 2.0**missing, ratio(right, totals)
    )
    known = (totals > 0).all(axis=-1) & (right > 0).any(axis=-1)
    logs = np.log(np.where(known[..., None], precisions, 1.0)).mean(axis=-1)
    short = np.minimum(0.0, 1 - ratio(reference, length))
    return np.where(known, np.exp(logs + short), 0.0)


def chrf_score(sums: Floats) -> Floats:
    """Compute corpus chrF on 0 to 1 from sums of shape (…, 18)."""
    counts = sums.reshape(*sums.shape[:-1], CHARACTER_ORDERS, 3)
    predicted, held, both = counts[..., 0], counts[..., 1], counts[..., 2]
    known = (predicted > 0) & (held > 0)
    orders = known.sum(axis=-1)
    precision = ratio(np.where(known, ratio(both, predicted), 0).sum(axis=-1), orders)
    recall = ratio(np.where(known, ratio(both, held), 0).sum(axis=-1), orders)
    return ratio(5 * precision * recall, 4 * precision + recall)


class _Words:
    """Words in lower case, of any script; for ASCII those of rouge-score itself."""

    def tokenize(self, text: str) -> list[str]:
        return WORD.findall(unicodedata.normalize("NFC", text).lower())


@cache
def _rouge() -> Any:
    # Its own tokenizer keeps a to z and digits only: texts of other scripts would have no words.
    from rouge_score.rouge_scorer import RougeScorer  # brings nltk

    return RougeScorer(list(_LIBRARY_ROUGES), tokenizer=_Words())


@cache
def _sacrebleu() -> tuple[Any, Any]:
    from sacrebleu.metrics.bleu import BLEU  # only used here
    from sacrebleu.metrics.chrf import CHRF

    # `force` silences a warning about references that look tokenized
    return BLEU(force=True), CHRF()
