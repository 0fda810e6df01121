"""A tokenizer that cannot be relied on is named before training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.inference.template_check import known_tokens, tokenizer_problems
from engine.runtime.rendering.chat import load_chat
from support.faults_of_texts import decoding
from support.pico import make_pico_model

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_pico_model(tmp_path / "base")


def found(base: Path, change: Change, *, are_labels: bool = True) -> list[tuple[str, str]]:
    """What is found of a tokenizer that was changed."""
    file = base / "tokenizer.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    change(whole)
    file.write_text(json.dumps(whole), encoding="utf-8")
    problems = tokenizer_problems(load_chat(base), ["negative", "not"], are_labels=are_labels)
    return [(one.code, one.severity) for one in problems]


def test_a_sound_one_passes(base: Path) -> None:
    assert found(base, lambda _: None) == []


@pytest.mark.parametrize(
    "change",
    [decoding, lambda whole: whole["model"].update(dropout=0.5)],
    ids=["decoder", "dropout"],
)
def test_answers_that_do_not_come_back_are_refused(base: Path, change: Change) -> None:
    assert found(base, change) == [("X841", "error")]


def test_half_of_free_answers_may_be_changed(base: Path) -> None:
    # one of the two holds the letter
    assert found(base, decoding, are_labels=False) == [("X841", "warning")]


def test_lower_case_is_a_warning(base: Path) -> None:
    assert found(base, lambda whole: whole.update(normalizer={"type": "Lowercase"})) == [
        ("X841", "warning")
    ]


def test_tokens_are_those_of_the_vocabulary_and_added_ones(base: Path) -> None:
    known = known_tokens(base)

    assert known is not None
    assert (known["<|im_end|>"], len(known)) == (2, 320)
    (base / "tokenizer.json").unlink()
    assert known_tokens(base) is None
