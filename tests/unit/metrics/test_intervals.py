import pytest

from engine.metrics.intervals import wilson, wilson_f1
from engine.metrics.power import ThresholdRule, pass_rate


def test_wilson_matches_a_hand_computed_case() -> None:
    interval = wilson(8, 10, confidence=0.95)

    assert interval is not None
    assert pytest.approx((0.490162, 0.943318), abs=1e-6) == (interval.low, interval.high)
    assert interval.method == "wilson"


def test_all_right_is_not_certainty() -> None:
    interval = wilson(300, 300, confidence=0.95)

    assert interval is not None
    assert pytest.approx(0.987357, abs=1e-6) == interval.low
    assert interval.high == 1.0


def test_none_right_mirrors_all_right() -> None:
    nothing, everything = wilson(0, 50, confidence=0.9), wilson(50, 50, confidence=0.9)

    assert nothing is not None
    assert everything is not None
    assert nothing.low == 0.0
    assert pytest.approx(1 - everything.low) == nothing.high


def test_no_trials_have_no_interval() -> None:
    assert wilson(0, 0, confidence=0.95) is None
    assert wilson_f1(0, 0, confidence=0.95) is None


def test_more_confidence_is_a_wider_interval() -> None:
    narrow, wide = wilson(7, 10, confidence=0.8), wilson(7, 10, confidence=0.99)

    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_interval_of_f1_is_that_of_the_jaccard_share_mapped() -> None:
    share, f1 = wilson(8, 10, confidence=0.95), wilson_f1(8, 2, confidence=0.95)

    assert share is not None
    assert f1 is not None
    assert pytest.approx(2 * share.low / (1 + share.low)) == f1.low
    assert pytest.approx(2 * share.high / (1 + share.high)) == f1.high


@pytest.mark.parametrize(
    ("bounds", "rows", "most"),
    [
        ((0.5, 0.99), (100, 1000), 1 / 33),
        ((0.1, 0.2), (100, 1000), 1 / 24),
        ((0.05, 0.1), (100, 1000), 1 / 20),
        ((0.05, 0.1), (30, 100), 1 / 13),
    ],
)
def test_a_model_at_the_bound_passes_about_as_seldom_as_the_page_says(
    bounds: tuple[float, float], rows: tuple[int, int], most: float
) -> None:
    low, high = bounds
    worst = max(
        pass_rate(bound, ThresholdRule(bound=bound, confidence=0.95), rows=count)
        for count in range(*rows, max(1, (rows[1] - rows[0]) // 35))
        for bound in (low + (high - low) * step / 15 for step in range(16))
    )

    assert worst <= most
