"""Batched, cached decoding gives what the plain way gives."""

from typing import Any

import torch

from engine.runtime.generation.generate import generate
from engine.runtime.models.load import LoadedModel

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


def test_progress_counts_every_row(pico: LoadedModel, progress: Any) -> None:
    generate(pico, _prompts(pico), max_new_tokens=1, progress=progress)

    assert progress.updates[-1] == (len(TEXTS), len(TEXTS))


def test_generate_gives_what_transformers_generates(pico: LoadedModel, progress: Any) -> None:
    prompts = _prompts(pico)

    generated = generate(pico, prompts, max_new_tokens=12, progress=progress)

    expected = []
    for prompt in prompts:
        ids = torch.tensor([pico.chat.token_ids(prompt)])
        out = pico.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
        )
        expected.append(pico.chat.text(out[0, ids.shape[1] :].tolist()))
    assert expected == [one.text for one in generated]
