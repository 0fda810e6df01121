"""Excerpts of a stranger's texts, as messages show them."""

from __future__ import annotations

import pytest

from engine.data.reading.row import excerpt


@pytest.mark.parametrize("text", ["می\u200cخو", "क्\u200dष", "\U0001f468\u200d\U0001f469"])
def test_a_joiner_is_a_part_of_its_word(text: str) -> None:
    assert excerpt(text) == text


def test_what_a_terminal_obeys_is_shown_as_escapes() -> None:
    assert excerpt("a\x1b[2J\u202eb\u200b\n") == r"a\x1b[2J\u202eb\u200b\n"
