"""Batched, cached, constrained decoding gives what the plain way gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch  # noqa: TID253 - a test of the runtime

from engine.errors import StageError
from engine.runtime.models import LoadedModel
from engine.runtime.predict import choose, generate

ANSWERS = ["positive", "negative", "neutral", "not sure", "not at all"]
TEXTS = [
    "good",
    "not a good film at all",
    "日本 é",
    "",
    "x" * 90,
    "the plot was bad",
    "good",
    "a\nb",
]


def _prompts(pico: LoadedModel, instruction: str = "is this good?") -> list[str]:
    return [
        pico.chat.prompt([{"role": "user", "content": f"{instruction}\n\n{text}"}])
        for text in TEXTS
    ]


@torch.inference_mode()
def _slow_choice(pico: LoadedModel, prompt: str, answers: Sequence[str]) -> tuple[int, float]:
    """One row, no cache, no batch: at every token the most probable of those some answer allows."""
    left = {index: pico.chat.token_ids(answer) for index, answer in enumerate(answers)}
    tokens, probability, depth = pico.chat.token_ids(prompt), 1.0, 0
    while True:
        allowed = sorted({ids[depth] for ids in left.values() if len(ids) > depth})
        if not allowed:
            return next(iter(left)), probability
        if len(allowed) > 1:
            logits = pico.model(input_ids=torch.tensor([tokens])).logits[0, -1, allowed]
            shares = logits.softmax(0)
            probability *= float(shares.max())
            allowed = [allowed[int(shares.argmax())]]
        tokens.append(allowed[0])
        left = {index: ids for index, ids in left.items() if ids[depth : depth + 1] == allowed}
        depth += 1


def test_choose_gives_what_decoding_one_row_without_cache_gives(
    pico: LoadedModel, progress: Any
) -> None:
    answers = [answer + pico.chat.terminator for answer in ANSWERS]

    choices = choose(pico, _prompts(pico), answers, progress=progress)

    slow = [_slow_choice(pico, prompt, answers) for prompt in _prompts(pico)]
    assert [index for index, _ in slow] == [choice.index for choice in choices]
    assert [probability for _, probability in slow] == pytest.approx(
        [choice.probability for choice in choices], abs=1e-5
    )


def test_choose_without_a_shared_prefix_gives_the_same(pico: LoadedModel, progress: Any) -> None:
    prompts = ["a good film", "b", "the plot", "a", "some other text that is long"]
    answers = [answer + pico.chat.terminator for answer in ANSWERS]

    choices = choose(pico, prompts, answers, progress=progress)

    assert [_slow_choice(pico, prompt, answers)[0] for prompt in prompts] == [
        choice.index for choice in choices
    ]


def test_generate_gives_what_transformers_generates(pico: LoadedModel, progress: Any) -> None:
    prompts = _prompts(pico)

    said = generate(pico, prompts, max_new_tokens=12, progress=progress)

    expected = []
    for prompt in prompts:
        ids = torch.tensor([pico.chat.token_ids(prompt)])
        out = pico.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
        )
        expected.append(pico.chat.text(out[0, ids.shape[1] :].tolist()))
    assert expected == [one.text for one in said]


def test_progress_counts_every_row(pico: LoadedModel, progress: Any) -> None:
    choose(pico, _prompts(pico), ["yes<|im_end|>", "no<|im_end|>"], progress=progress)

    assert (len(TEXTS), len(TEXTS)) == progress.updates[-1]


def test_a_single_answer_needs_no_model(pico: LoadedModel, progress: Any) -> None:
    choices = choose(pico, _prompts(pico), ["yes<|im_end|>"], progress=progress)

    assert [(0, 1.0)] * len(TEXTS) == [(choice.index, choice.probability) for choice in choices]


def test_equal_answers_are_an_error(pico: LoadedModel, progress: Any) -> None:
    with pytest.raises(StageError) as caught:
        choose(pico, ["a"], ["yes", "yes"], progress=progress)

    assert caught.value.problems[0].code == "X611"


def test_no_rows_give_no_answers(pico: LoadedModel, progress: Any) -> None:
    assert choose(pico, [], ["yes", "no"], progress=progress) == []
