"""The bounds of `acceptance.selective` against what a threshold comes to on the holdout. No NumPy."""

from __future__ import annotations

from typing import Final

from engine.evidence import Abstention, Check, Metric, Status
from engine.evidence.verdicts import SELECTIVE
from engine.metrics.binomial import EXACT
from engine.metrics.power import OFTEN, ThresholdRule, round_up, rows_to_pass
from engine.metrics.verdict import judge, rows_to_decide
from engine.recipe.model import Acceptance
from engine.values import replace

ACCURACY: Final = f"{SELECTIVE}.accuracy"
COVERAGE: Final = f"{SELECTIVE}.coverage"


def judge_selective(found: Abstention | None, acceptance: Acceptance) -> tuple[Check, ...]:
    """Compare both shares with their bounds, by `decide_on`; no check where none is asked."""
    selective = acceptance.selective
    if selective is None:
        return ()
    missing = [
        Metric(name=name, value=None, n=0, undefined="no validation rows with probabilities")
        for name in (ACCURACY, COVERAGE)
    ]
    accuracy, coverage = (found.accuracy, found.coverage) if found else missing
    bounds = (selective.accuracy.min, selective.coverage.min)
    note = "" if found is None else f"answers from a probability of {found.threshold:.3f} on"
    checks = [
        judge(metric, "min", bound, decide_on=acceptance.decide_on, note=note)
        for metric, bound in zip((accuracy, coverage), bounds, strict=True)
    ]
    return (_with_rows(checks[0], coverage, acceptance.confidence, note), checks[1])


def _with_rows(check: Check, coverage: Metric, confidence: float, note: str) -> Check:
    """Say how many holdout rows would decide on the accuracy, of which the model answers a part."""
    if check.status is not Status.INCONCLUSIVE or not coverage.value or check.got is None:
        return check
    if check.interval is not None and check.interval.method == EXACT:
        rule = ThresholdRule(bound=check.bound, confidence=confidence, is_exact=True)
        rows = rows_to_pass(check.got, rule)
    else:
        rows = rows_to_decide(check, direction="min", bound=check.bound)
    if rows is None:
        return check
    whole = round_up(rows / coverage.value)
    what = "groups" if check.interval is not None and check.interval.groups else "rows"
    would = f"about {rows:,} answered {what} would decide with power {OFTEN:.2f}"
    enough = f"{would}, {whole:,} of the holdout (an estimate)"
    return replace(check, note="; ".join(part for part in (enough, note) if part))
