"""Continuations of one context are as probable as each read plainly behind it."""

from typing import Any

import pytest
import torch

from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring.likelihood import TOKENS_PER_PASS, continuations

ASKED = [
    *(("the film was ", choice) for choice in ("good", "not bad", "bad")),
    *(("", choice) for choice in ("a film", "the plot")),
    *(("is this", choice) for choice in (" review", " film?", " film and more", "n't")),
    ("one choice", " alone"),
]


@torch.inference_mode()
def _plainly(pico: LoadedModel, context: str, choice: str) -> float:
    first = pico.chat.token_ids(context.rstrip()) or [pico.chat.tokenizer.bos_token_id]
    ids = pico.chat.token_ids(context + choice)
    ids = ids if context else [*first, *ids]
    logs = pico.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    start = min(len(first), len(ids) - 1)
    return -sum(float(logs[at - 1, ids[at]]) for at in range(start, len(ids)))


@pytest.mark.parametrize("most", [1, TOKENS_PER_PASS["cpu"]])
def test_each_is_as_probable_as_alone(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setitem(TOKENS_PER_PASS, "cpu", most)

    found = continuations(pico, ASKED, progress=progress)

    assert found == pytest.approx([_plainly(pico, *one) for one in ASKED], abs=1e-4)
    assert progress.updates[-1] == (len(ASKED), len(ASKED))


def test_no_items_have_no_numbers(pico: LoadedModel, progress: Any) -> None:
    assert continuations(pico, [], progress=progress) == []
