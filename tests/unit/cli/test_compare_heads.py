"""The columns of a comparison name their confidence, and the correction of their p-values."""

from types import SimpleNamespace
from typing import Any

import pytest

from engine.cli.runs import _head
from engine.evidence import Interval


@pytest.mark.parametrize(
    ("p_values", "end"),
    [
        ([0.01, 0.02, None], "  90 % interval       p after Holm, 2 tests"),
        ([0.01, None], "  90 % interval       p"),
        ([None], "  90 % interval"),
    ],
)
def test_heads_name_confidence_and_correction(p_values: list[float | None], end: str) -> None:
    interval = Interval(low=-0.1, high=0.1, confidence=0.9, method="wilson")
    found: Any = SimpleNamespace(
        of_files=False,
        comparisons=[SimpleNamespace(interval=interval, p_adjusted=value) for value in p_values],
    )

    assert _head(found).endswith(end)
