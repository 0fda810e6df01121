import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.metrics.comparing import holm


def test_a_hand_computed_case() -> None:
    # sorted .01 .02 .03 .04 by 4, 3, 2, 1: .04 .06 .06 .04, and none below the one before it
    assert pytest.approx((0.06, 0.04, 0.06, 0.06)) == holm((0.03, 0.01, 0.04, 0.02))


def test_one_test_needs_no_correction_and_none_is_nothing() -> None:
    assert holm((0.03,)) == (0.03,)
    assert holm(()) == ()


@given(st.lists(st.floats(0, 1), max_size=12))
def test_it_is_statsmodels_formula(p_values: list[float]) -> None:
    """As `multipletests(method="holm")`: a running maximum over the sorted ones, cut at 1."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = [p_values[place] * (len(order) - rank) for rank, place in enumerate(order)]
    expected = {place: min(1, max(scaled[: rank + 1])) for rank, place in enumerate(order)}

    found = holm(p_values)

    assert pytest.approx([expected[place] for place in range(len(p_values))]) == list(found)
    assert all(adjusted >= p for adjusted, p in zip(found, p_values, strict=True))
