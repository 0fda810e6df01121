"""What tells apart texts that look alike."""

from __future__ import annotations

import pytest

from engine.recipe.text.lookalike import unlike


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("cafe\u0301", "caf\u00e9", " (U+0301 in place of U+00E9)"),
        ("\u0430", "a", " (U+0430)"),
        ("ok", "o\u200bk", " (without U+200B)"),
        ("a\u00a0b", "a b", " (U+00A0)"),
        ("Bug", "bug", ""),
        ("긍정", "부정", ""),
        ("same", "same", ""),
    ],
)
def test_the_characters_that_differ_are_named(text: str, other: str, expected: str) -> None:
    assert unlike(text, other) == expected
