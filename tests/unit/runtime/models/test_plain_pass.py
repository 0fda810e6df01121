"""Rows that pass beside each other have the numbers that each has alone."""

from typing import Any

import pytest
import torch

from engine.runtime.models.load import MOST, SPARED, LoadedModel, plain_logits

ROWS = ([5, 6, 7, 8, 9, 10], [11, 12, 13], [14, 15, 16, 17])
WANTED = ([4, 5], [2], [0, 3])


@pytest.fixture
def passes(pico: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of what the model is given from here on."""
    found: list[torch.Size] = []
    real = pico.model.forward

    def forward(*given: Any, **named: Any) -> Any:
        found.append(named["input_ids"].shape)
        return real(*given, **named)

    monkeypatch.setattr(pico.model, "forward", forward)
    return found


def alone(pico: LoadedModel, row: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = pico.model(input_ids=torch.tensor([row])).logits[0].float()
    return found


def test_short_rows_pass_together_with_their_own_numbers(
    pico: LoadedModel, passes: list[torch.Size]
) -> None:
    with torch.no_grad():
        found = plain_logits(pico.model, ROWS, WANTED)

    assert passes == [(3, 6)]
    for row, places, logits in zip(ROWS, WANTED, found, strict=True):
        torch.testing.assert_close(logits, alone(pico, row)[places], atol=1e-4, rtol=1e-4)


def test_all_places_may_be_wanted(pico: LoadedModel) -> None:
    with torch.no_grad():
        found = plain_logits(pico.model, ROWS, [range(len(row) - 1) for row in ROWS])

    for row, logits in zip(ROWS, found, strict=True):
        torch.testing.assert_close(logits, alone(pico, row)[:-1], atol=1e-4, rtol=1e-4)


def test_a_row_that_would_be_filled_up_much_passes_alone(
    pico: LoadedModel, passes: list[torch.Size]
) -> None:
    long = [5 + at % 50 for at in range(SPARED + 6)]
    plain_logits(pico.model, [long, [7, 8]], [[0], [1]])

    assert passes == [(1, len(long)), (1, 2)]


@pytest.mark.thorough
def test_many_rows_pass_alone(pico: LoadedModel, passes: list[torch.Size]) -> None:
    rows = [[5, 6, 7, 8]] * (MOST // 4 + 1)
    plain_logits(pico.model, rows, [[0]] * len(rows))

    assert {*passes} == {(1, 4)}


def test_a_model_that_sees_what_follows_shows_it(pico: LoadedModel) -> None:
    """What stands behind a shorter row is no padding, which a model may have learned to leave out."""
    given: list[torch.Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pico.model, "forward", lambda **named: given.append(named["input_ids"]))
        with pytest.raises(AttributeError):
            plain_logits(pico.model, ROWS, WANTED)

    assert given[0][1].tolist() == [11, 12, 13, 11, 12, 13]


def test_no_rows_are_not_asked(pico: LoadedModel, passes: list[torch.Size]) -> None:
    assert plain_logits(pico.model, [], []) == []
    assert not passes
