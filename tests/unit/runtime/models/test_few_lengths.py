"""How many tokens are put behind a pass so that many are of one length."""

import pytest

from engine.runtime.models.load import filling_of


@pytest.mark.parametrize("tokens", [1, 7, 16, 31, 100, 546, 1021, 9999])
def test_a_pass_is_filled_by_a_sixteenth_at_most(tokens: int) -> None:
    filling = filling_of(tokens)

    assert filling < max(8, tokens / 16)
    assert (tokens + filling) % 8 == 0


def test_passes_of_like_length_are_of_few_lengths() -> None:
    assert {tokens + filling_of(tokens) for tokens in range(513, 641)} == {544, 576, 608, 640}
