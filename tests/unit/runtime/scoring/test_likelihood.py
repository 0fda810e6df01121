"""Likelihoods in parts and in batches are those of one plain forward pass a row."""

from typing import Any

import pytest
import torch

import engine.runtime.scoring.likelihood as module
from engine.errors import StageError
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.segments import Segment, TokenRow, token_row
from engine.runtime.scoring.likelihood import TOKENS_PER_PASS, continuations, likelihood

ROWS = [
    [("is this good?\n", False), ("not bad at all<|im_end|>", True)],
    [("a", False), ("b", True), ("the film", False), ("was good", True)],
    [("x" * 200, True)],
    [("only a question", False)],
    [("日本", False), ("é", True), ("what stands behind", False)],
]


def _rows() -> list[list[Segment]]:
    return [[Segment(text=text, supervised=learned) for text, learned in row] for row in ROWS]


@torch.inference_mode()
def _plainly(pico: LoadedModel, row: TokenRow) -> float:
    ids = torch.tensor([row.ids])
    logs = pico.model(input_ids=ids).logits[0].log_softmax(-1)
    return -sum(
        float(logs[at - 1, row.ids[at]]) for at in range(1, len(row.ids)) if row.learned[at]
    )


def test_rows_are_as_probable_as_one_plain_pass_says(pico: LoadedModel, progress: Any) -> None:
    rows = [token_row(pico.chat, row) for row in _rows()]

    found = likelihood(pico, _rows(), progress=progress)

    assert [one.nll for one in found] == pytest.approx(
        [_plainly(pico, row) for row in rows], abs=1e-4
    )
    assert [one.tokens for one in found] == [sum(row.learned[1:]) for row in rows]
    assert progress.updates[-1] == (len(ROWS), len(ROWS))


def test_small_parts_and_small_batches_change_nothing(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = likelihood(pico, _rows(), progress=progress)
    monkeypatch.setitem(module.LOGIT_BYTES, "cpu", 1)
    monkeypatch.setitem(module.TOKENS_PER_PASS, "cpu", 1)

    parts = likelihood(pico, _rows(), progress=progress)

    assert [one.nll for one in whole] == pytest.approx([one.nll for one in parts], abs=1e-4)


def test_a_model_that_scales_its_logits_is_asked_for_them(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = likelihood(pico, _rows(), progress=progress)
    forward = pico.model.forward

    def scaled(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        output.logits = output.logits / 2
        return output

    monkeypatch.setattr(pico.model, "forward", scaled)
    rows = [token_row(pico.chat, row) for row in _rows()]

    found = likelihood(pico, _rows(), progress=progress)

    assert [one.nll for one in found] == pytest.approx(
        [_plainly(pico, row) for row in rows], abs=1e-4
    )
    assert found[0].nll != pytest.approx(plain[0].nll, abs=1e-2)


def test_a_number_that_is_none_is_an_error(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = torch.full((1,), float("nan"))
    monkeypatch.setattr(
        torch.nn.functional, "cross_entropy", lambda _, wanted, **_more: nothing.expand(len(wanted))
    )

    with pytest.raises(StageError) as caught:
        likelihood(pico, _rows()[:1], progress=progress)

    assert caught.value.problems[0].code == "X616"


def test_no_rows_have_no_likelihood(pico: LoadedModel, progress: Any) -> None:
    assert likelihood(pico, [], progress=progress) == []


def test_a_row_that_sees_what_pads_it_is_noticed(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._hidden

    def hidden(loaded: LoadedModel, ids: Any) -> Any:
        found = real(loaded, ids)
        # What stands at the end of a padded row reaches its beginning.
        return found if len(ids) == 1 else found + found[:, -1:]

    monkeypatch.setattr(module, "_hidden", hidden)

    with pytest.raises(StageError, match="X803"):
        likelihood(pico, _rows(), progress=progress)


# Continuations of one context are as probable as each read plainly behind it.
ASKED = [
    *(("the film was ", choice) for choice in ("good", "not bad", "bad")),
    *(("", choice) for choice in ("a film", "the plot")),
    *(("is this", choice) for choice in (" review", " film?", " film and more", "n't")),
    ("one choice", " alone"),
]


@torch.inference_mode()
def _plainly_of_continuation_scoring(pico: LoadedModel, context: str, choice: str) -> float:
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

    assert found == pytest.approx(
        [_plainly_of_continuation_scoring(pico, *one) for one in ASKED], abs=1e-4
    )
    assert progress.updates[-1] == (len(ASKED), len(ASKED))


def test_no_items_have_no_numbers(pico: LoadedModel, progress: Any) -> None:
    assert continuations(pico, [], progress=progress) == []
