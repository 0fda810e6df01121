"""Numbers with their sign: one minus sign in all that people read."""

import re
from pathlib import Path

import pytest

import engine
from engine.values import MINUS, bounds, decimal, shortest

SIGNED = re.compile(r":[<>^]?\d*\+[\d.,]*[defg%]\}")
"""A format that writes a sign of its own: a hyphen for a minus."""


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (0.0214, True, "+0.021"),
        (0.0214, False, "0.021"),
        (-0.0121, True, f"{MINUS}0.012"),
        (-0.0121, False, f"{MINUS}0.012"),
        (-0.0001, True, "0.000"),
        (12345.6, True, "+12,345.600"),
    ],
)
def test_a_number_has_one_minus_sign_and_zero_has_none(
    value: float, signed: bool, expected: str
) -> None:
    assert decimal(value, signed=signed) == expected


def test_ends_of_a_difference_have_their_signs() -> None:
    assert bounds(-0.0201, 0.0042) == f"[{MINUS}0.020, +0.004]"
    assert bounds(-2, 3, 0) == f"[{MINUS}2, +3]"


def test_nothing_else_writes_the_sign_of_a_number() -> None:
    root = Path(engine.__file__).parent
    found = {
        f"{path.relative_to(root)}: {match[0]}"
        for path in root.rglob("*.py")
        for match in SIGNED.finditer(path.read_text(encoding="utf-8"))
    }

    assert not found


@pytest.mark.parametrize(
    ("value", "figures", "expected"),
    [
        (0.81, 3, "0.81"),
        (-0.1234, 3, f"{MINUS}0.123"),
        (-0.0, 3, "0"),
        (12, 6, "12"),
        (-1e-05, 6, f"{MINUS}1e-05"),
    ],
)
def test_a_number_of_few_figures_has_the_same_sign(
    value: float, figures: int, expected: str
) -> None:
    assert shortest(value, figures) == expected
