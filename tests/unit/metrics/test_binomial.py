import pytest
from scipy.stats import binomtest

from engine.metrics.intervals import clopper_pearson


@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 10), (10, 10), (1, 1), (95, 100), (299, 300)]
)
def test_the_exact_interval_is_that_of_scipy(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(0.95, method="exact")

    found = clopper_pearson(successes, trials, confidence=0.95)

    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_trials_have_no_interval() -> None:
    assert clopper_pearson(0, 0, confidence=0.95) is None
