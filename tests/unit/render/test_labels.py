"""Numbers of a check beside its bound: what is shown is on the side of it that was decided."""

from typing import Any

import pytest

from engine.evidence import Check, Interval, Status
from engine.render.labels import check_sentence


def check(got: float, bound: float = 0.8, **changes: Any) -> Check:
    given: dict[str, Any] = {
        "name": "accuracy",
        "status": Status.FAIL,
        "got": got,
        "direction": "min",
        "bound": bound,
        "decided_on": "point",
        "n": 5000,
        "note": "",
        "interval": None,
    }
    return Check(**(given | changes))


def interval(low: float, high: float) -> Interval:
    return Interval(low=low, high=high, confidence=0.95, method="wilson")


@pytest.mark.parametrize(
    ("shown", "required"),
    [
        (check(0.7996), "0.7996, required ≥ 0.80"),
        (check(0.79996), "0.79996, required ≥ 0.80"),
        (check(0.7994), "0.799, required ≥ 0.80"),
        (check(0.8004), "0.800, required ≥ 0.80"),
        (check(0.8 - 1e-14), "0.800, required ≥ 0.80"),
        (check(0.0204, 0.02, direction="max", name="overfitting"), "+0.0204, required ≤ 0.02"),
        (
            check(120.04, 120, direction="max", name="file_megabytes"),
            "120.04 MB, required ≤ 120 MB",
        ),
    ],
)
def test_a_value_that_misses_its_bound_is_not_rounded_to_it(shown: Check, required: str) -> None:
    assert check_sentence(shown).endswith(required)


def test_the_end_of_an_interval_that_decides_is_not_rounded_to_the_bound() -> None:
    shown = check(0.812, interval=interval(0.79964, 0.82399), decided_on="lower bound")
    most = check(
        0.041,
        0.05,
        direction="max",
        name="ece",
        interval=interval(0.03049, 0.0503),
        decided_on="upper bound",
    )

    assert check_sentence(shown) == "accuracy 0.812 [0.7996, 0.8240], required lower bound ≥ 0.80"
    assert check_sentence(most) == "ece 0.041 [0.0305, 0.0503], required upper bound ≤ 0.05"
