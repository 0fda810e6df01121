"""Precision, recall and F1 by label (or field) and their averages, and calibration."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from engine.evidence import Calibration, CalibrationBin, ClassScores
from engine.metrics.predictions import Prediction
from engine.metrics.table import (
    Column,
    Floats,
    Measure,
    Of,
    Sums,
    mean_of_rows,
    no_rows,
    one_hot,
    ratio,
    unless,
)
from engine.values import replace

BINS = 15
_EDGES = np.arange(BINS + 1) / BINS


def columns(
    predictions: Sequence[Prediction], correct: Floats, *, targets: Floats | None = None
) -> dict[str, Column]:
    """Return the statistics of right and wrong answers and their probabilities.

    Added right and wrong rows have a probability of 1. `targets` are label numbers, for the Brier score over all
    labels.
    """
    given = [row.probability for row in predictions]
    known = np.array([value is not None for value in given], dtype=bool)
    confidence = np.array([value or 0.0 for value in given], dtype=float)
    places = np.searchsorted(_EDGES[1:-1], confidence, side="left")  # (low, high], as Guo et al.
    # A row without a probability is in no bin.
    places = np.where(known, places, BINS)
    every = (
        targets is not None and targets.size > 0 and all(row.probabilities for row in predictions)
    )
    brier = (confidence - correct) ** 2
    if every:  # the squared errors over all labels
        chances = np.array([row.probabilities for row in predictions], dtype=float)
        of_target = chances[np.arange(len(predictions)), targets]
        brier = np.asarray((chances**2).sum(axis=1) + 1 - 2 * of_target)
    # Over all labels: 1 for the wrong label with a probability of 1, and 1 for the right one with 0.
    worst = np.full(places.size, 2.0 if every else 1.0)
    return {
        "known": Column(known.astype(float)),
        "brier": Column(np.where(known, brier, 0.0), np.zeros(places.size), worst),
        "worst_brier": Column(worst),
        **binned(confidence, correct, places, BINS),
    }


def binned(
    confidence: Floats, correct: Floats, places: Floats, bins: int, side: str = ""
) -> dict[str, Column]:
    """Return rows, probabilities and right answers of each bin; a row at place `bins` is in no bin."""
    in_bins, nowhere = one_hot(places, bins), one_hot(np.full(places.size, bins), bins)
    right = one_hot(np.where(correct, places, bins), bins)
    return {
        f"bin_rows{side}": Column(in_bins),
        f"bin_probability{side}": Column(one_hot(places, bins, confidence)),
        f"bin_right{side}": Column(right, in_bins, nowhere),
    }


def bins_of(
    sums: Sums, ends: Mapping[int, tuple[float, float]], side: str = ""
) -> tuple[CalibrationBin, ...]:
    """Return the bins of a reliability diagram; `ends` are by the place of a bin."""
    counts = sums[f"bin_rows{side}"]
    right = ratio(sums[f"bin_right{side}"], counts)
    confidence = ratio(sums[f"bin_probability{side}"], counts)
    return tuple(
        CalibrationBin(
            low=float(low),
            high=float(high),
            rows=int(counts[place]),
            confidence=float(confidence[place]),
            accuracy=float(right[place]),
        )
        for place, (low, high) in ends.items()
    )


def calibration_error(sums: Sums, side: str = "") -> Floats:
    gaps = np.abs(sums[f"bin_probability{side}"] - sums[f"bin_right{side}"])
    return ratio(gaps.sum(axis=-1), sums["rows"])


def calibration(sums: Sums) -> Calibration | None:
    """Return the bins of a reliability diagram; None where answers have no probabilities."""
    if _unknown(sums):
        return None
    return Calibration(
        bins=bins_of(sums, dict(enumerate(pairwise(_EDGES)))),
        ece=float(calibration_error(sums)),
        brier=float(ratio(sums["brier"], sums["rows"])),
    )


def _unknown(sums: Sums) -> str:
    if reason := no_rows(sums):
        return reason
    return "" if sums["known"] == sums["rows"] else "answers have no probabilities"


MEASURES = (
    Measure(name="ece", value=calibration_error, undefined=_unknown),
    replace(mean_of_rows("brier", "brier"), undefined=_unknown),
)


Part = Callable[[Sums], Floats]


def precision(sums: Sums) -> Floats:
    return ratio(sums["right"], sums["predicted"])


def recall(sums: Sums) -> Floats:
    return ratio(sums["right"], sums["support"])


def f1(sums: Sums) -> Floats:
    # By counts, not by precision and recall, of which one may be undefined.
    return ratio(2 * sums["right"], sums["predicted"] + sums["support"])


PARTS: dict[str, Part] = {"f1": f1, "precision": precision, "recall": recall}


def widening(below: str) -> Of:
    """Return the factor, at least 1, by which draws of a mean of shares over labels vary too little.

    `below` is the statistic that the shares are of. For one of C labels, with n rows and a share p, draws in
    `engine.metrics.resampling` have a variance of p q / (n + 1), and 2 (p p + q q) / (C (n + 1) (n + 2)) from the added
    right row and wrong row; the share itself has p q / (n - 1), estimated from the same rows. p is computed with one
    more row of both sorts.
    """

    def factor(sums: Sums) -> Floats:
        rows = sums[below]
        has_rows = rows > 0
        share = (sums["right"] + 1) / (rows + 2)
        product = share * (1 - share)
        added = 2 * (1 - 2 * product) / (rows + 2) / np.maximum(has_rows.sum(axis=-1), 1)
        drawn = (product + added) / (rows + 1)
        true = product / np.maximum(rows - 1, 1)
        sums_of = (np.where(has_rows, one, 0.0).sum(axis=-1) for one in (true, drawn))
        return np.sqrt(np.maximum(ratio(*sums_of), 1.0))

    return factor


WIDENINGS = {"precision": widening("predicted"), "recall": widening("support")}
"""Widenings of means over labels, by their part; F1 is no share."""


def averages(names: Sequence[str]) -> tuple[Measure, ...]:

    def average(how: str, part: str) -> Part:
        def value(sums: Sums) -> Floats:
            support, predicted = sums["support"], sums["predicted"]
            if how == "macro":
                return np.asarray(PARTS[part](sums).mean(axis=-1))
            if how == "weighted":
                return ratio((PARTS[part](sums) * support).sum(axis=-1), support.sum(axis=-1))
            targets, outputs = support.sum(axis=-1), predicted.sum(axis=-1)
            below = {"f1": (targets + outputs) / 2, "precision": outputs, "recall": targets}
            return ratio(sums["right"].sum(axis=-1), below[part])

        return value

    def undefined(how: str, part: str) -> Callable[[Sums], str]:
        if how == "macro":
            return lacking(names)
        return _no_answer if (how, part) == ("micro", "precision") else no_support

    return tuple(
        Measure(
            name=f"{how}_{part}",
            value=average(how, part),
            undefined=undefined(how, part),
            widening=WIDENINGS.get(part) if how == "macro" else None,
        )
        for how in ("macro", "micro", "weighted")
        for part in PARTS
    )


def by_label(
    names: Sequence[str], *, single: Sequence[bool] | None = None, has_values: bool = False
) -> tuple[Measure, ...]:
    """Return precision, recall and F1 of each label.

    Labels that a row has at most once, as in `single`, have Wilson's intervals. With `has_values`, as of fields, a row
    can be wrong twice, by a value in the output and another one in the target: F1 is then resampled.
    """
    alone = single or [True] * len(names)
    return tuple(
        measure
        for place, (name, is_single) in enumerate(zip(names, alone, strict=True))
        for measure in _of_label(name, place, single=is_single, has_values=has_values)
    )


def class_scores(sums: Sums, names: Sequence[str]) -> tuple[ClassScores, ...]:
    values = {name: part(sums) for name, part in PARTS.items()}
    support, predicted = sums["support"], sums["predicted"]
    return tuple(
        ClassScores(
            label=name,
            precision=float(values["precision"][place]) if predicted[place] else None,
            recall=float(values["recall"][place]) if support[place] else None,
            f1=float(values["f1"][place]) if support[place] else None,
            support=int(support[place]),
            predicted=int(predicted[place]),
        )
        for place, name in enumerate(names)
    )


def _of_label(name: str, place: int, *, single: bool, has_values: bool) -> tuple[Measure, ...]:
    def at(block: str) -> Part:
        return lambda sums: sums[block][..., place]

    def value(part: Part) -> Part:
        return lambda sums: np.asarray(part(sums)[..., place])

    def wrong(sums: Sums) -> Floats:
        return np.asarray(at("support")(sums) + at("predicted")(sums) - 2 * at("right")(sums))

    def absent(sums: Sums) -> str:
        return "" if sums["support"][place] > 0 else f"no rows of `{name}`"

    def never(sums: Sums) -> str:
        return "" if sums["predicted"][place] > 0 else f"`{name}` was never predicted"

    right, support, predicted = at("right"), at("support"), at("predicted")
    has_f1 = single and not has_values
    return tuple(
        Measure(
            name=f"{part}.{name}",
            value=value(PARTS[part]),
            n=below,
            undefined=undefined,
            share=(right, below) if single and part != "f1" else None,
            f1=(right, wrong) if has_f1 and part == "f1" else None,
        )
        for part, below, undefined in (
            ("precision", predicted, never),
            ("recall", support, absent),
            ("f1", support, absent),
        )
    )


def lacking(names: Sequence[str]) -> Callable[[Sums], str]:

    def undefined(sums: Sums) -> str:
        if not names:
            return no_rows(sums) or "there is nothing to average over"
        missing = np.flatnonzero(sums["support"] == 0)
        return no_rows(sums) or (f"no rows of `{names[missing[0]]}`" if missing.size else "")

    return undefined


no_support = unless(lambda sums: sums["support"], "no row has any")
_no_answer = unless(lambda sums: sums["predicted"], "no label was predicted")
