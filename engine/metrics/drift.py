"""How far a training on preferences moved the model's answers: likelihood of the chosen ones, length of its own.

Losses on pairs make both answers less likely as long as the rejected one falls further, and longer answers are often
the chosen ones. Both are compared with the untouched base model on the same rows, and resampled together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.evidence import Check, DriftResult, DriftScore, Metric
from engine.evidence.training import ANSWER_LENGTH, CHOSEN_LOG_PROBABILITY
from engine.evidence.verdicts import DRIFT
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.verdict import judge
from engine.recipe.model import Acceptance, Direction, Drift
from engine.values import Value, field, replace
from engine.values.numbers import decimal


class AnswerLengths(Value):
    """Tokens of what two models wrote to the same rows, by the row's id."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    groups: Mapping[str, str] = field(default_factory=dict)
    """Of rows that belong together, by the row's id."""


def likelihood_drift(tuned: Sequence[Prediction], judging: Judging) -> DriftScore:
    """Return how much less likely, by token, the chosen answers have become."""
    from engine.metrics.paired import paired_difference  # brings numpy
    from engine.metrics.scoring import values_of

    scored = [row for row in tuned if row.base_nats]
    base = [replace(row, nats=row.base_nats[0]) for row in scored]
    values = [values_of(rows, judging.task).get(CHOSEN_LOG_PROBABILITY) for rows in (base, scored)]
    drop = paired_difference(CHOSEN_LOG_PROBABILITY, base, scored, judging).metric
    return DriftScore(name=CHOSEN_LOG_PROBABILITY, before=values[0], after=values[1], change=drop)


def length_drift(lengths: AnswerLengths, judging: Judging) -> DriftScore:
    """Return how many times as long the model's own answers have become."""
    import numpy as np

    from engine.metrics.measure import Measure, ratio
    from engine.metrics.scoring import metrics_of
    from engine.metrics.table import Column, make_table

    rows = [
        Prediction(
            id=name,
            target="",
            label=None,
            text="",
            probability=None,
            group=lengths.groups.get(name, ""),
        )
        for name in lengths.before
    ]
    counts = {
        "before": np.array([lengths.before[row.id] for row in rows], dtype=float),
        "after": np.array([lengths.after[row.id] for row in rows], dtype=float),
    }
    table = make_table(rows, {name: Column(of) for name, of in counts.items()})
    measure = Measure(
        name=ANSWER_LENGTH,
        value=lambda sums: ratio(sums["after"], sums["before"]),
        undefined=lambda sums: "" if sums["before"] > 0 else "the base model answers nothing",
        least_units=2,
    )
    (change,) = metrics_of(table, (measure,), confidence=judging.confidence, seed=judging.seed)
    before, after = (float(of.mean()) if rows else None for of in counts.values())
    return DriftScore(name=ANSWER_LENGTH, before=before, after=after, change=change)


def judge_drift(
    drift: Drift | None, result: DriftResult | None, acceptance: Acceptance
) -> tuple[Check, ...]:
    """Compare what moved with its bounds, by `decide_on`; no check where none is asked."""
    if drift is None:
        return ()
    found = {} if result is None else {one.name: one for one in result.scores}
    checks = []
    for name, bound in _bounds(drift).items():
        score = found.get(name)
        missing = Metric(name=name, value=None, n=0, undefined="not measured")
        metric = replace(missing if score is None else score.change, name=f"{DRIFT}.{name}")
        direction: Direction = "max"
        note = _note(score) if score else ""
        checks.append(judge(metric, direction, bound, decide_on=acceptance.decide_on, note=note))
    return tuple(checks)


def _bounds(drift: Drift) -> dict[str, float]:
    bounds = {}
    if drift.chosen_log_probability is not None:
        bounds[CHOSEN_LOG_PROBABILITY] = drift.chosen_log_probability.max_drop
    if drift.answer_length is not None:
        bounds[ANSWER_LENGTH] = drift.answer_length.max_ratio
    return bounds


def _note(score: DriftScore) -> str:
    before, after = ("none" if one is None else decimal(one) for one in (score.before, score.after))
    unit = "nats a token" if score.name == CHOSEN_LOG_PROBABILITY else "tokens an answer"
    return f"{unit}, base {before}, tuned {after}"
