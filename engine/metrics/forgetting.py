"""Forgetting and drift: the same probes, texts and answers before and after training, and the bounds on the drop.

An option's log-likelihood is compared with the others' by UTF-8 byte, as `acc_norm` of lm-evaluation-harness does, two
sentences without this division; a tie is not right. The interval of the drop is that of Bonett and Price (2012,
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
    """Measure how much less likely, by token, the chosen answers have become."""
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
    groups: Mapping[str, str],
) -> DriftScore:
    """Measure how many times as long the model's answers have become, from their tokens by id of the row."""
    import numpy as np

    from engine.metrics.scoring import metrics_of
    from engine.metrics.table import Column, Measure, make_table, ratio

    plain = Prediction(id="", target="", label=None, text="", probability=None)
    rows = [replace(plain, id=name, group=groups.get(name, "")) for name in before]
    counts = {
        name: np.array([tokens[row.id] for row in rows], dtype=float)
        for name, tokens in (("before", before), ("after", after))
    }
    table = make_table(rows, {name: Column(tokens) for name, tokens in counts.items()})
    measure = Measure(
        name=ANSWER_LENGTH,
        value=lambda sums: ratio(sums["after"], sums["before"]),
        undefined=lambda sums: "" if sums["before"] > 0 else "the base model answers nothing",
        least_units=2,
    )
    (change,) = metrics_of(table, (measure,), confidence=judging.confidence, seed=judging.seed)
    means = [float(tokens.mean()) if rows else None for tokens in counts.values()]
    return DriftScore(name=ANSWER_LENGTH, before=means[0], after=means[1], change=change)


def judge_drift(
    drift: Drift | None, result: DriftResult | None, acceptance: Acceptance
) -> tuple[Check, ...]:
    if drift is None:
        return ()
    scores = {} if result is None else {score.name: score for score in result.scores}
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
        if (score := scores.get(name)) is not None:
            metric = score.change
            note = f"{unit}, base {_shown(score.before)}, tuned {_shown(score.after)}"
        metric = replace(metric, name=f"{DRIFT}.{name}")
        checks.append(judge(metric, "max", bound, decide_on=acceptance.decide_on, note=note))
    return tuple(checks)


OVERALL = "all"
METHOD = "Bonett and Price, paired"
TEXT = "forgetting.text"
BITS = "bits_per_byte"
PAIRED = ("minimal_pairs",)
"""Kinds whose options are sentences: compared by their sums, not by byte."""


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
        values = [*self.scores]
        if self.kind not in PAIRED:
            pairs = zip(self.scores, self.lengths, strict=True)
            values = [score / length for score, length in pairs]
        gold = values.pop(self.gold)
        return all(gold > value for value in values)

    @property
    def per_byte(self) -> float:
        return self.scores[self.gold] / self.lengths[self.gold]


def forgetting_result(
    before: Sequence[ProbeAnswer], after: Sequence[ProbeAnswer], *, confidence: float
) -> ForgettingResult:
    """Compare two models on the same items: by set and kind, and over all. ValueError for different items."""
    later = {(item.probe, item.id): item for item in after}
    if later.keys() != {(item.probe, item.id) for item in before}:
        raise ValueError("probes to compare are of different items")
    pairs = [(item, later[item.probe, item.id]) for item in before]
    sets: dict[tuple[str, str], list[tuple[ProbeAnswer, ProbeAnswer]]] = {}
    for pair in pairs:
        sets.setdefault((pair[0].probe, pair[0].kind), []).append(pair)
    probes = (_scores(*key, items, confidence=confidence) for key, items in sets.items())
    overall = _scores(OVERALL, "", pairs, confidence=confidence)
    return ForgettingResult(probes=tuple(probes), overall=overall)


def judge_forgetting(
    forgetting: Forgetting | None, result: ForgettingResult | None, acceptance: Acceptance
) -> tuple[Check, ...]:
    """Compare the drop over all probes with `max_drop`, the rise of bits per byte of general text with `max_rise`."""
    if forgetting is None:
        return ()
    drop, note, p_value = Metric.missing("forgetting"), "", None
    if result is not None:
        overall = result.overall
        note = f"probes answered right, {_sides(overall)}"
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
            note = f"bits per byte of general text, {_sides(text)}"
            rise, p_value = replace(text.rise, name=TEXT), text.p_value
        check = judge(rise, "max", forgetting.text.max_rise, decide_on=decide_on, note=note)
        checks.append(replace(check, p_value=p_value))
    return tuple(checks)


def _sides(scores: ProbeScores | GeneralTextScores) -> str:
    return f"base {_shown(scores.before.value)}, tuned {_shown(scores.after.value)}"


def _shown(value: float | None) -> str:
    return "none" if value is None else decimal(value)


def text_scores(
    before: Sequence[Prediction],
    after: Sequence[Prediction],
    judging: Judging,
    *,
    builtin: bool,
    left_out: int,
) -> GeneralTextScores:
    """Compare two models' likelihoods of the same documents; `judging` is of the kind text."""
    from engine.metrics.resampling import paired_difference  # brings numpy
    from engine.metrics.scoring import score

    difference = paired_difference(BITS, after, before, judging)
    values = [score(rows, judging).metric(BITS) for rows in (before, after)]
    return GeneralTextScores(
        builtin=builtin,
        documents=len(before),
        bytes=sum(row.bytes for row in before),
        left_out=left_out,
        before=values[0],
        after=values[1],
        rise=replace(difference.metric, name="rise"),
        p_value=difference.p_value,
    )


def paired_interval(lost: int, gained: int, n: int, *, confidence: float) -> Interval:
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    down, up = (lost + 1) / (n + 2), (gained + 1) / (n + 2)
    center = down - up
    half = z * math.sqrt((down + up - center * center) / (n + 2))
    point = (lost - gained) / n
    return Interval(
        # The added items pull the center towards 0; an interval must contain the measured value.
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
