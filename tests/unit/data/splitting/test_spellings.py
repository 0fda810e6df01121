"""Groups that are written in several ways."""

import pytest

from engine.data.splitting import column
from engine.data.splitting.column import GroupSpellings


def test_no_more_spellings_are_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten million groups of a column of decimal numbers would take gigabytes."""
    monkeypatch.setattr(column, "MOST", 3)
    groups = GroupSpellings(seed=1)
    for number in range(100):
        groups.note(f"{number}.0")
    assert len(groups._odd) == 3
