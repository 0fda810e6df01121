import pytest

from engine.evidence import Interval
from engine.render import number_format


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (291.2, "4 min 51 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert number_format.duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(3, "a few s"), (22, "20 s"), (56, "1 min"), (3600, "1 h"), (7900, "2 h 10 min")],
)
def test_estimates_are_rough(seconds: float, expected: str) -> None:
    assert number_format.about(seconds) == expected


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, "1 epoch"),
        (1.0, "1 epoch"),
        (0.5, "0.5 epochs"),
        (3, "3 epochs"),
        (4 / 17, "0.235 epochs"),
        (1200, "1200 epochs"),
        (2012 / 17, "118 epochs"),
        (0.9999, "1 epoch"),
    ],
)
def test_epochs(epochs: float, expected: str) -> None:
    assert number_format.epochs(epochs) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (105_454_144, "105 MB"), (1_300_000_000, "1.3 GB")],
)
def test_sizes(count: int, expected: str) -> None:
    assert number_format.size(count) == expected


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (0.8964, False, "0.896"),
        (0.177, True, "+0.177"),
        (-0.0203, True, "\N{MINUS SIGN}0.020"),
        (-0.0001, True, "0.000"),
        (None, False, "not computed"),
        (float("nan"), False, "not computed"),
    ],
)
def test_metrics(value: float | None, signed: bool, expected: str) -> None:
    assert number_format.number(value, signed=signed) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.8, "0.80"), (0.985, "0.985"), (1, "1.00")])
def test_bounds_keep_the_digits_they_were_written_with(value: float, expected: str) -> None:
    assert number_format.threshold(value) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(1.0, "100 %"), (0.9999, "99.9 %"), (0.987, "98.7 %"), (0.0, "0 %")],
)
def test_a_share_below_one_is_never_rounded_up_to_all(share: float, expected: str) -> None:
    assert number_format.percent(share) == expected


def test_no_interval_is_empty() -> None:
    assert number_format.interval(None) == ""
    shown = number_format.interval(
        Interval(low=0.8581, high=0.93, confidence=0.95, method="made up")
    )
    assert shown == "[0.858, 0.930]"
