"""How many tokens a draft takes a text for, beside those that the tokenizer of its base model makes of it."""

from __future__ import annotations

import pytest

from engine.drafting.token_estimate import are_english, tokens_of
from support.languages import COUNTED


@pytest.mark.parametrize(("text", "tokens"), COUNTED)
def test_a_text_is_taken_for_as_many_tokens_as_it_has_or_a_few_more(text: str, tokens: int) -> None:
    estimate = tokens_of(text, is_english=are_english([text]))

    assert tokens <= estimate <= 1.75 * tokens
