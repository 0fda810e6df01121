"""The tuned model against the same training without the synthetic rows, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Check, Comparison, Metric
from engine.metrics.comparing import comparisons_with, corrected, judge_gain_over
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.verdict import judge
from engine.recipe.model import Acceptance

NAME = "over_without_synthetic"
WITHOUT = "without synthetic rows"
"""What comparisons call that training."""


def compare_with_smaller(
    tuned: Sequence[Prediction],
    without: Sequence[Prediction],
    judging: Judging,
    acceptance: Acceptance,
) -> tuple[Comparison, ...]:
    """Compare on every metric that the recipe bounds; a positive difference means that the rows help."""
    from engine.metrics.paired import pair  # brings numpy

    metrics = [gain.metric for gain in acceptance.over_without_synthetic]
    return corrected(comparisons_with(WITHOUT, pair(tuned, without, judging), metrics))


def judge_without_synthetic(
    comparisons: Sequence[Comparison], acceptance: Acceptance
) -> tuple[Check, ...]:
    """Judge every bound of `acceptance.over_without_synthetic`."""
    found = {one.metric: one for one in comparisons}
    checks: list[Check] = []
    for gain in acceptance.over_without_synthetic:
        comparison = found.get(gain.metric)
        if comparison is None:
            name = f"{NAME}.{gain.metric}"
            missing = Metric(name=name, value=None, n=0, undefined="not measured")
            checks.append(judge(missing, "min", gain.min_gain, decide_on=acceptance.decide_on))
        else:
            against = "the same training without the synthetic rows"
            checks.append(judge_gain_over(gain, comparison, against, acceptance, name=NAME))
    return tuple(checks)
