"""What training unlearned: the same probes and texts before and after, paired, and the bounds on the drop.

An option's log-likelihood is compared with the others' by UTF-8 byte, as `acc_norm` of lm-evaluation-harness does, two
whole sentences as they are; a tie is not right. The interval of the drop is that of Bonett and Price (2012,
Psychological Methods 17:456) for paired proportions, the p-value McNemar's exact test.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from engine.evidence import (
    Check,
    DriftResult,
    DriftScore,
    ForgettingResult,
    GeneralTextScores,
    Interval,
    Metric,
    ProbeScores,
)
from engine.evidence.training import ANSWER_LENGTH, CHOSEN_LOG_PROBABILITY
from engine.evidence.verdicts import DRIFT
from engine.metrics.intervals import proportion
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.verdict import judge
from engine.recipe.model import Acceptance, Drift, Forgetting
from engine.values import Value, decimal, replace


def likelihood_drift(tuned: Sequence[Prediction], judging: Judging) -> DriftScore:
    """Return how much less likely, by token, the chosen answers have become."""
    from engine.metrics.resampling import paired_difference  # brings numpy
    from engine.metrics.scoring import values_of

    scored = [row for row in tuned if row.base_nats]
    base = [replace(row, nats=row.base_nats[0]) for row in scored]
    values = [values_of(rows, judging.task).get(CHOSEN_LOG_PROBABILITY) for rows in (base, scored)]
    drop = paired_difference(CHOSEN_LOG_PROBABILITY, base, scored, judging).metric
    return DriftScore(name=CHOSEN_LOG_PROBABILITY, before=values[0], after=values[1], change=drop)


def length_drift(
    before: Mapping[str, int],
    after: Mapping[str, int],
    judging: Judging,
    *,
    groups: Mapping[str, str] | None = None,
) -> DriftScore:
    """Return how many times as long the model's own answers have become, from tokens by the row's id."""
    import numpy as np

    from engine.metrics.scoring import metrics_of
    from engine.metrics.table import Column, Measure, make_table, ratio

    plain = Prediction(id="", target="", label=None, text="", probability=None)
    rows = [replace(plain, id=name, group=(groups or {}).get(name, "")) for name in before]
    counts = {
        "before": np.array([before[row.id] for row in rows], dtype=float),
        "after": np.array([after[row.id] for row in rows], dtype=float),
    }
    table = make_table(rows, {name: Column(of) for name, of in counts.items()})
    measure = Measure(
        name=ANSWER_LENGTH,
        value=lambda sums: ratio(sums["after"], sums["before"]),
        undefined=lambda sums: "" if sums["before"] > 0 else "the base model answers nothing",
        least_units=2,
    )
    (change,) = metrics_of(table, (measure,), confidence=judging.confidence, seed=judging.seed)
    means = [float(of.mean()) if rows else None for of in counts.values()]
    return DriftScore(name=ANSWER_LENGTH, before=means[0], after=means[1], change=change)


def judge_drift(
    drift: Drift | None, result: DriftResult | None, acceptance: Acceptance
) -> tuple[Check, ...]:
    if drift is None:
        return ()
    found = {} if result is None else {one.name: one for one in result.scores}
    likely, length = drift.chosen_log_probability, drift.answer_length
    bounds = {
        CHOSEN_LOG_PROBABILITY: (likely.max_drop if likely else None, "nats a token"),
        ANSWER_LENGTH: (length.max_ratio if length else None, "tokens an answer"),
    }
    checks = []
    for name, (bound, unit) in bounds.items():
        if bound is None:
            continue
        metric, note = Metric.missing(name), ""
        if (score := found.get(name)) is not None:
            sides = (score.before, score.after)
            before, after = ("none" if one is None else decimal(one) for one in sides)
            metric, note = score.change, f"{unit}, base {before}, tuned {after}"
        metric = replace(metric, name=f"{DRIFT}.{name}")
        checks.append(judge(metric, "max", bound, decide_on=acceptance.decide_on, note=note))
    return tuple(checks)


OVERALL = "all"
METHOD = "Bonett and Price, paired"
TEXT = "forgetting.text"
BITS = "bits_per_byte"
PAIRED = ("minimal_pairs",)
"""Kinds whose options are whole sentences: compared by their sums, not by byte."""


class ProbeAnswer(Value):
    id: str
    probe: str
    kind: str
    gold: int
    scores: tuple[float, ...]
    """Log-likelihood of each option, in nats."""
    lengths: tuple[int, ...]
    """UTF-8 bytes of each option."""

    @property
    def is_right(self) -> bool:
        by_byte = self.kind not in PAIRED
        values = [
            score / length if by_byte else score
            for score, length in zip(self.scores, self.lengths, strict=True)
        ]
        return all(
            values[self.gold] > value for place, value in enumerate(values) if place != self.gold
        )

    @property
    def per_byte(self) -> float:
        return self.scores[self.gold] / self.lengths[self.gold]


def forgetting_result(
    before: Sequence[ProbeAnswer], after: Sequence[ProbeAnswer], *, confidence: float
) -> ForgettingResult:
    """Compare two models on the same items, paired by id: by set and kind, and over all. ValueError for other items."""
    later = {(item.probe, item.id): item for item in after}
    if later.keys() != {(item.probe, item.id) for item in before}:
        raise ValueError("probes to compare are of different items")
    pairs = [(item, later[item.probe, item.id]) for item in before]
    sets: dict[tuple[str, str], list[tuple[ProbeAnswer, ProbeAnswer]]] = {}
    for pair in pairs:
        sets.setdefault((pair[0].probe, pair[0].kind), []).append(pair)
    return ForgettingResult(
        probes=tuple(
            _scores(name, kind, found, confidence=confidence)
            for (name, kind), found in sets.items()
        ),
        overall=_scores(OVERALL, "", pairs, confidence=confidence),
    )


def judge_forgetting(
    forgetting: Forgetting | None, result: ForgettingResult | None, acceptance: Acceptance
) -> tuple[Check, ...]:
    """Compare the drop over all probes with `max_drop`, the rise of bits per byte of general text with `max_rise`."""
    if forgetting is None:
        return ()
    drop, note, p_value = Metric.missing("forgetting"), "", None
    if result is not None:
        overall = result.overall
        note = (
            f"probes answered right, base {_share(overall.before)}, tuned {_share(overall.after)}"
        )
        worst = max(result.probes, key=lambda probe: probe.drop.value or 0.0)
        if len(result.probes) > 1 and (worst.drop.value or 0.0) > 0:
            note += f"; most lost in {worst.name} {worst.kind} ({decimal(worst.drop.value or 0.0)})"
        drop, note = replace(overall.drop, name="forgetting"), f"{note}; p: McNemar's exact test"
        p_value = overall.p_value
    decide_on = acceptance.decide_on
    check = judge(drop, "max", forgetting.max_drop, decide_on=decide_on, note=note)
    checks = [replace(check, p_value=p_value)]
    if forgetting.text is not None:
        rise, note, p_value = Metric.missing(TEXT), "", None
        if result is not None and (text := result.text) is not None:
            before, after = _share(text.before), _share(text.after)
            note = f"bits per byte of general text, base {before}, tuned {after}"
            rise, p_value = replace(text.rise, name=TEXT), text.p_value
        check = judge(rise, "max", forgetting.text.max_rise, decide_on=decide_on, note=note)
        checks.append(replace(check, p_value=p_value))
    return tuple(checks)


def text_scores(
    before: Sequence[Prediction],
    after: Sequence[Prediction],
    judging: Judging,
    *,
    builtin: bool,
    left_out: int,
) -> GeneralTextScores:
    """Compare two models' likelihoods of the same documents, paired by id; `judging` is of the kind text."""
    from engine.metrics.resampling import paired_difference  # brings numpy
    from engine.metrics.scoring import score

    found = paired_difference(BITS, after, before, judging)
    values = [score(rows, judging).metric(BITS) for rows in (before, after)]
    return GeneralTextScores(
        builtin=builtin,
        documents=len(before),
        bytes=sum(row.bytes for row in before),
        left_out=left_out,
        before=values[0],
        after=values[1],
        rise=replace(found.metric, name="rise"),
        p_value=found.p_value,
    )


def paired_interval(lost: int, gained: int, n: int, *, confidence: float) -> Interval:
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    down, up = (lost + 1) / (n + 2), (gained + 1) / (n + 2)
    center = down - up
    half = z * math.sqrt((down + up - center * center) / (n + 2))
    point = (lost - gained) / n
    return Interval(
        # The added items pull the center towards 0; an interval must hold what was measured.
        low=min(point, max(-1.0, center - half)),
        high=max(point, min(1.0, center + half)),
        confidence=confidence,
        method=METHOD,
    )


def _scores(
    name: str, kind: str, pairs: Sequence[tuple[ProbeAnswer, ProbeAnswer]], *, confidence: float
) -> ProbeScores:
    from engine.metrics.resampling import mcnemar  # brings numpy

    n = len(pairs)
    lost = sum(first.is_right and not second.is_right for first, second in pairs)
    gained = sum(second.is_right and not first.is_right for first, second in pairs)
    before, after = (
        proportion("accuracy", sum(item.is_right for item in model), n, confidence=confidence)
        for model in zip(*pairs, strict=True)
    )
    drop = Metric(
        name="drop",
        value=(lost - gained) / n,
        n=n,
        interval=paired_interval(lost, gained, n, confidence=confidence),
    )
    shift = math.fsum(second.per_byte - first.per_byte for first, second in pairs) / n
    return ProbeScores(
        name=name,
        kind=kind,
        n=n,
        before=before,
        after=after,
        drop=drop,
        p_value=mcnemar(gained, lost),
        shift=shift if math.isfinite(shift) else None,
    )


def _share(metric: Metric) -> str:
    return "none" if metric.value is None else decimal(metric.value)
