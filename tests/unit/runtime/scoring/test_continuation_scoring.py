"""Continuations that share a context are as probable as each read plainly behind it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring.continuation_scoring import Continuation, continuations
from engine.runtime.scoring.likelihood import TOKENS_PER_PASS
from engine.runtime.scoring.packed_cache import UnsupportedModelError

ITEMS = [
    ("the film was ", ["good", "not bad", "bad"]),
    ("", ["a film", "the plot"]),
    ("is this", [" review", " film?", " film and more", "n't"]),
    ("one choice", [" alone"]),
    ("two that begin alike", [" the film is good", " the film is not"]),
]


@torch.inference_mode()
def _plainly(pico: LoadedModel, context: str, choice: str) -> Continuation:
    first = pico.chat.token_ids(context.rstrip()) or [pico.chat.tokenizer.bos_token_id]
    ids = pico.chat.token_ids(context + choice)
    ids = ids if context else [*first, *ids]
    logs = pico.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    start = min(len(first), len(ids) - 1)
    nll = -sum(float(logs[at - 1, ids[at]]) for at in range(start, len(ids)))
    return Continuation(nll=nll, tokens=len(ids) - start, bytes=len(choice.encode()))


def _same(pico: LoadedModel, found: list[list[Continuation]]) -> None:
    for (context, choices), scores in zip(ITEMS, found, strict=True):
        for choice, one in zip(choices, scores, strict=True):
            plain = _plainly(pico, context, choice)
            assert one.nll == pytest.approx(plain.nll, abs=1e-4)
            assert (one.tokens, one.bytes) == (plain.tokens, plain.bytes)


def test_a_shared_context_changes_no_number(pico: LoadedModel, progress: Any) -> None:
    _same(pico, continuations(pico, ITEMS, progress=progress))
    assert progress.updates[-1] == (len(ITEMS), len(ITEMS))


def test_one_item_a_pass_changes_no_number(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOKENS_PER_PASS, "cpu", 1)

    _same(pico, continuations(pico, ITEMS, progress=progress))


def test_a_model_that_cannot_be_packed_gives_the_same_numbers(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise UnsupportedModelError

    monkeypatch.setattr("engine.runtime.scoring.continuation_scoring._check", refuse)

    _same(pico, continuations(pico, ITEMS, progress=progress))


def test_no_items_have_no_numbers(pico: LoadedModel, progress: Any) -> None:
    assert continuations(pico, [], progress=progress) == []
