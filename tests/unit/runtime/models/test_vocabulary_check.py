"""A vocabulary whose parts do not belong together is named by the text of tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers.convert_slow_tokenizer import bytes_to_unicode

from engine.runtime.models.settings_check import vocabulary_problems
from support.faults_of_machines import swapped
from support.faults_of_texts import swapped_bytes
from support.pico import make_pico_model


def few_merges(found: dict[str, Any]) -> None:
    found["model"]["merges"] = found["model"]["merges"][:20]


def by_their_bytes(found: dict[str, Any]) -> None:
    """Number bytes by their own order, as some tokenizers do."""
    words, letters = found["model"]["vocab"], bytes_to_unicode()
    numbers = sorted(words[letter] for letter in letters.values())
    words.update({letters[byte]: number for byte, number in enumerate(numbers)})


def whole_words(found: dict[str, Any]) -> None:
    few_merges(found)
    found["model"]["ignore_merges"] = True


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        (lambda _: None, None),
        (whole_words, None),
        (few_merges, "that no merge makes"),
        (swapped, "1 word a number out of order"),
        (swapped_bytes, "gives bytes each other's numbers: '!', 'a'"),
        (by_their_bytes, None),
    ],
)
def test_words_and_merges_are_held_against_each_other(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], odd: str | None
) -> None:
    folder = make_pico_model(tmp_path / "base")
    found = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    change(found)
    (folder / "tokenizer.json").write_text(json.dumps(found), encoding="utf-8")

    problems = [*vocabulary_problems(folder)]

    assert len(problems) == (odd is not None)
    assert odd is None or odd in problems[0].message


def test_a_second_vocabulary_has_the_same_numbers(tmp_path: Path) -> None:
    folder = make_pico_model(tmp_path / "base")
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    (folder / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
    assert [*vocabulary_problems(folder)] == []

    (folder / "vocab.json").write_text(json.dumps({**words, "a": 3}), encoding="utf-8")
    (problem,) = vocabulary_problems(folder)
    assert "vocab.json" in problem.message


@pytest.mark.parametrize("text", ["[1]", '"x"', "5"])
def test_a_vocabulary_of_another_form_is_passed_over(tmp_path: Path, text: str) -> None:
    folder = make_pico_model(tmp_path)
    (folder / "vocab.json").write_text(text, encoding="utf-8")

    assert [*vocabulary_problems(folder)] == []
