"""Asking a GGUF file for one of some answers, as most tests of it do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.runtime.llama.client import GgufAnswers, Request, ask_gguf


def choose_gguf(
    gguf: Path,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    max_new_tokens: int = 0,
    distribution: bool = False,
    **given: Any,
) -> GgufAnswers:
    """One of `answers` for each prompt and, if tokens are granted, free text; `given` goes to `ask_gguf`."""
    request = Request(
        prompts=prompts, answers=answers, distribution=distribution, max_new_tokens=max_new_tokens
    )
    return ask_gguf(gguf, request, **given)
