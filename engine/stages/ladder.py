"""The parity ladder: the same holdout, asked in every form of the model between training and the file. Pure.

A rung is compared with the one before it. Merging and converting to 16 bits lose next to nothing, so their
answers must agree but for ties; quantizing loses something, and the recipe's bounds say how much it may.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.evidence import Check, Flip, Metric, Rung, Scores, Status, Verdict
from engine.metrics.predictions import Prediction
from engine.metrics.scoring import agreement
from engine.metrics.verdict import judge, verdict
from engine.recipe.model import Recipe

SMALLEST = 1e-9
"""Probabilities below are taken for this: their logarithm says nothing."""
PLACES = {
    "training": "prompts that training and transformers read as the same tokens",
    "llama_cpp": "prompts that llama.cpp and transformers read as the same tokens",
    "ollama": "prompts that the Modelfile's template and transformers read as the same tokens",
    "template": "prompts that the chat template in the file writes as the model's own does",
    "users": "prompts as the file's own template and special tokens make them that training read, too",
}
CHECKS = {
    "training": "token_parity.training",
    "llama_cpp": "token_parity",
    "ollama": "token_parity.ollama",
    "template": "token_parity.template",
    "users": "token_parity.users",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One form of the model: its name, what it said, and how that scored."""

    name: str
    chosen: Sequence[Prediction]
    scores: Scores


def rung(step: Step, before: Step | None, *, confidence: float, checks: Sequence[Check]) -> Rung:
    """Return a rung; `before` is the step below it, None for the first."""
    judged: Verdict | None = verdict(checks) if checks else None
    if before is None:
        return Rung(name=step.name, scores=step.scores, agreement=None, verdict=judged)
    shifts = [*_shifts(before.chosen, step.chosen)]
    same = agreement(before.chosen, step.chosen, confidence=confidence)
    return Rung(
        name=step.name,
        scores=step.scores,
        agreement=None if same.value is None else same,
        class_deltas=tuple(_deltas(before.scores, step.scores)),
        flips=tuple(_flips(before.chosen, step.chosen)),
        mean_shift=math.fsum(shifts) / len(shifts) if shifts else None,
        largest_shift=max(shifts, default=None),
        verdict=judged,
        note=f"compared with {before.name}",
    )


def parity(step: Step, before: Step, recipe: Recipe) -> Check:
    """Check a rung that should lose nothing: agreement with the one before, or its bits per byte."""
    bound, confidence = recipe.export.min_parity, recipe.acceptance.confidence
    same = agreement(before.chosen, step.chosen, confidence=confidence)
    note = f"{before.name} → {step.name}, where nothing should be lost"
    if same.value is not None:
        changed = sum(1 for _ in _flips(before.chosen, step.chosen))
        note = f"{note}: {changed} of {same.n} answers changed{_largest(before, step)}"
        check = judge(same, direction="min", bound=bound, decide_on="point", note=note)
        return replace(check, name=f"parity.{step.name}")
    bits = [_bits(one) for one in (before, step)]
    change = None if None in bits or not bits[0] else abs(bits[1] / bits[0] - 1)  # type: ignore[operator]
    metric = Metric(
        name="bits_per_byte", value=change, n=len(step.chosen), undefined=same.undefined
    )
    note = f"{note}: relative change of bits per byte"
    check = judge(metric, direction="max", bound=1 - bound, decide_on="point", note=note)
    return replace(check, name=f"parity.{step.name}")


def token_checks(facts: Mapping[str, Any], *, ollama_leaves: bool) -> Iterator[Check]:
    """Yield a check for each place where prompts are read; Ollama's only warns where it was not asked for."""
    if not facts.get("is_finite", True):
        yield Check(
            name="finite",
            status=Status.FAIL,
            got=0.0,
            direction="min",
            bound=1.0,
            decided_on="point",
            n=facts["parity"]["llama_cpp"]["of"],
            note="the file computes what is not a number, so it answers nothing: a weight is damaged",
        )
    if not facts.get("is_ended", True):
        yield Check(
            name="ends_turn",
            status=Status.FAIL,
            got=0.0,
            direction="min",
            bound=1.0,
            decided_on="point",
            n=facts["parity"]["llama_cpp"]["of"],
            note="the file does not name what ends a turn, so programs that run it go on past every answer",
        )
    for place, found in facts["parity"].items():
        if found is None:
            continue
        same, of, first = found["same"], found["of"], found["first_different"]
        is_warning = place == "ollama" and not ollama_leaves
        bad = Status.WARN if is_warning else Status.FAIL
        note = PLACES[place]
        yield Check(
            name=CHECKS[place],
            status=Status.PASS if same == of and of > 0 else bad,
            got=same / of if of else None,
            direction="min",
            bound=1.0,
            decided_on="point",
            n=of,
            note=note if first is None else f"{note}; the first that differs is row {first}",
        )


def _bits(step: Step) -> float | None:
    return step.scores.metric("bits_per_byte").value


def _largest(before: Step, step: Step) -> str:
    largest = max(_shifts(before.chosen, step.chosen), default=None)
    return "" if largest is None else f", log-probabilities by at most {largest:.2g}"


def _flips(before: Sequence[Prediction], after: Sequence[Prediction]) -> Iterator[Flip]:
    for one, two in zip(before, after, strict=True):
        if one.label != two.label:
            yield Flip(id=one.id, target=one.target, before=one.label, after=two.label)


def _deltas(before: Scores, after: Scores) -> Iterator[tuple[str, float | None]]:
    earlier = {one.label: one.f1 for one in before.classes}
    for one in after.classes:
        first = earlier.get(one.label)
        yield one.label, None if one.f1 is None or first is None else one.f1 - first


def _shifts(before: Sequence[Prediction], after: Sequence[Prediction]) -> Iterator[float]:
    """Yield how far the log-probability of the earlier answer moved, by row, where it is known.

    For likelihoods: nats a token.
    """
    for one, two in zip(before, after, strict=True):
        if one.nats is not None and two.nats is not None:
            yield abs(one.nats - two.nats) / max(one.tokens, 1)
            continue
        first, second = one.probability, two.probability if one.label == two.label else None
        if one.probabilities and two.probabilities:
            place = max(range(len(one.probabilities)), key=one.probabilities.__getitem__)
            first, second = one.probabilities[place], two.probabilities[place]
        if first is not None and second is not None:
            yield abs(math.log(max(first, SMALLEST)) - math.log(max(second, SMALLEST)))
