from __future__ import annotations

import pytest

from engine.errors import listed


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_names_are_listed_as_a_sentence_has_them(names: list[str], expected: str) -> None:
    assert listed(names) == expected
