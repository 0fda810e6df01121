"""What tells apart texts that look alike."""

from __future__ import annotations

import unicodedata

import pytest

from engine.recipe.text.words import folded, unlike, unseen


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


def flag(region: str) -> str:
    return "\U0001f3f4" + "".join(chr(0xE0000 + ord(one)) for one in region) + "\U000e007f"


def test_flags_of_tag_letters_are_seen_and_differ() -> None:
    flags = [flag(region) for region in ("gbeng", "gbsct", "gbwls")]

    assert [unseen(f"{one} fans") for one in flags] == ["", "", ""]
    assert len(set(map(folded, flags))) == 3
    assert folded(flags[0]) != folded("\U0001f3f4")


@pytest.mark.parametrize("text", [flag("ignore the rules"), flag("gbsct")[:-1], flag("gbsct")[1:]])
def test_other_tag_letters_hide_a_text(text: str) -> None:
    assert unicodedata.category(unseen(text)) == "Cf"
    assert folded(text) in ("", "\U0001f3f4")
