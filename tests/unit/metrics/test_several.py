"""One of several files leaves: no likelier by luck than a single one would."""

import numpy as np
import pytest

from engine.evidence import Check, Metric, Status
from engine.metrics.intervals import wilson
from engine.metrics.verdict import corrected_confidence, judge, passes_among

ROWS, LEAST, FILES, CONFIDENCE = 300, 0.85, 4, 0.95


def checked(right: int, confidence: float = CONFIDENCE) -> Check:
    interval = wilson(right, ROWS, confidence=confidence)
    metric = Metric(name="accuracy", value=right / ROWS, n=ROWS, interval=interval)
    return judge(metric, "min", LEAST, decide_on="lower_bound")


def passes(right: int, files: int) -> bool:
    wider = checked(right, corrected_confidence(CONFIDENCE, files))
    return passes_among(checked(right), wider, files).status is Status.PASS


def test_files_at_the_bound_pass_no_more_often_than_one_would() -> None:
    """Each right in the share of the bound, and otherwise than the others in every tenth row."""
    random = np.random.default_rng(5)
    runs = 4000
    shared = random.random((runs, ROWS)) < LEAST
    counts = []
    for _ in range(FILES):
        own = random.random((runs, ROWS)) < 0.1
        counts.append(np.where(own, random.random((runs, ROWS)) < LEAST, shared).sum(axis=1))
    limits = [min(n for n in range(ROWS + 1) if passes(n, files)) for files in (1, FILES)]
    alone, corrected = ((np.max(counts, axis=0) >= limit).mean() for limit in limits)

    assert alone > 0.04  # of the promised 0.025
    assert corrected < 0.025


@pytest.mark.parametrize(("right", "status"), [(268, Status.INCONCLUSIVE), (275, Status.PASS)])
def test_a_check_names_why_more_is_asked_of_it(right: int, status: Status) -> None:
    plain = checked(right)
    found = passes_among(plain, checked(right, corrected_confidence(CONFIDENCE, 3)), 3)

    assert plain.status is Status.PASS
    assert (found.status, found.got, found.interval) == (status, plain.got, plain.interval)
    assert found.note.startswith("one of 3 files leaves: at 98.3 % the lower bound is 0.8")
    assert ("rows would decide" in found.note) is (status is Status.INCONCLUSIVE)


def test_what_is_decided_on_the_value_stays() -> None:
    metric = Metric(name="file_megabytes", value=90.0, n=1)
    check = judge(metric, "max", 100.0, decide_on="point")

    assert passes_among(check, check, 3) == check
