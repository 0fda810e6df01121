"""A model's own texts: the same for the same seed, whatever stands beside it, and drawn as probable as they are."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.runtime.generation import generate
from engine.runtime.generation.generate import sample_texts
from engine.runtime.models.load import LoadedModel


def test_a_text_is_that_of_its_seed_whatever_is_sampled_beside_it(
    pico: LoadedModel, progress: Any
) -> None:
    seeds = [f"7:{number}" for number in range(6)]

    together = sample_texts(pico, seeds, most=12, progress=progress)
    alone = sample_texts(pico, seeds[4:5], most=12, progress=progress)

    assert alone[0].tokens == together[4].tokens
    assert len({tuple(one.tokens) for one in together}) == len(seeds)


def test_a_text_ends_where_the_model_ends_it_or_where_it_is_cut(
    pico: LoadedModel, progress: Any
) -> None:
    stops = pico.chat.stop_ids()

    made = sample_texts(pico, [str(number) for number in range(40)], most=30, progress=progress)

    assert all(len(one.tokens) == 30 for one in made if not one.ended)
    assert all(len(one.tokens) < 30 for one in made if one.ended)
    assert not any(stops & set(one.tokens) for one in made)


def test_tokens_are_drawn_as_often_as_the_model_gives_them(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = torch.tensor([0.5, 0.3, 0.2, 0.0])
    used = SimpleNamespace(rows=0)

    def decode(_: Any, rows: Any, *, step: Any, **__: Any) -> None:
        used.rows = len(rows)
        step(shares.log().clamp(min=-1e4).expand(len(rows), -1), range(len(rows)))

    monkeypatch.setattr(generate, "decode", decode)

    made = sample_texts(pico, [str(number) for number in range(2000)], most=1, progress=progress)

    drawn = Counter(one.tokens[0] if one.tokens else -1 for one in made)
    ended = sum(one.ended for one in made)
    assert used.rows == 2000
    assert drawn[3] == 0
    # Token 0 to 2 may be one that ends a text: then nothing of it is kept.
    for token, share in ((0, 0.5), (1, 0.3), (2, 0.2)):
        found = ended if token in pico.chat.stop_ids() else drawn[token]
        assert token in pico.chat.stop_ids() or found / 2000 == pytest.approx(share, abs=0.04)
