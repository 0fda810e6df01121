"""Examples as `recipe data` shows them: what is asked, the answer, and what stands beside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from contract.launches import TASK

from engine.data.example import Example, write_examples
from engine.samples import Wish, examples


def beside(folder: Path, **payload: Any) -> tuple[str, ...]:
    example = Example(
        id="0" * 16, origin="a.jsonl:1", input="Rome?", target="sunny", payload=payload
    )
    files = {"train": folder / "train.jsonl", "validation": folder / "validation.jsonl"}
    write_examples(files["train"], [example])
    write_examples(files["validation"], [])
    [shown] = examples(files, dataclasses.replace(TASK, labels=()), Wish())
    return shown.beside


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({}, ()),
        ({"references": ["sunny", "it shines"]}, ("or: it shines",)),
        ({"rejected": [{"role": "assistant", "content": "no"}]}, ("rather than: no",)),
        ({"desirable": True}, ("a thumb up",)),
        ({"desirable": False}, ("a thumb down",)),
    ],
)
def test_what_stands_beside_an_answer_is_shown(
    tmp_path: Path, payload: dict[str, Any], told: tuple[str, ...]
) -> None:
    assert beside(tmp_path, **payload) == told
