"""ROUGE, BLEU and chrF: how much of a reference's wording a text has, by the usual libraries."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from typing import Any

import numpy as np

from engine.errors import needs_extra
from engine.metrics.table import Floats, ratio
from engine.recipe.text.words import WORD
from engine.values import Value

ROUGES = ("rouge1", "rouge2", "rougeL")
ORDERS = 4
CHARACTER_ORDERS = 6


class OverlapStatistics(Value):
    rouge: tuple[float, ...]
    """F-measures against the best reference."""
    most_rouge: tuple[float, ...]
    """Of a reference itself: 0 where it has too few words."""
    bleu: tuple[float, ...]
    """Length, reference length, right n-grams by order, n-grams by order."""
    chrf: tuple[float, ...]
    """By order: n-grams, those of the best reference, and those in both."""


@lru_cache(maxsize=1 << 16)
def overlap(text: str, references: tuple[str, ...]) -> OverlapStatistics:
    with needs_extra("judging generated texts needs rouge-score and sacrebleu", "metrics"):
        rouge, (bleu, chrf) = _rouge(), _sacrebleu()
    # sacrebleu takes references by number, each a list over all rows; there is one row here.
    streams = [[reference] for reference in references]
    found = rouge.score_multi(list(references), text)
    words = max(len(WORD.findall(reference)) for reference in references)
    return OverlapStatistics(
        rouge=tuple(float(found[name].fmeasure) for name in ROUGES),
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

    return RougeScorer(list(ROUGES), tokenizer=_Words())


@cache
def _sacrebleu() -> tuple[Any, Any]:
    from sacrebleu.metrics.bleu import BLEU  # only used here
    from sacrebleu.metrics.chrf import CHRF

    # `force` silences a warning about text that looks tokenized, as some references do.
    return BLEU(force=True), CHRF()
