"""Examples as `recipe data` shows them: what is asked, the answer, and what stands beside it."""

from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.example import Example, write_examples
from engine.runs.data_view import ViewOptions, examples, thumbs
from engine.values import replace
from support.launches import TASK


def beside(folder: Path, **payload: Any) -> tuple[str, ...]:
    example = Example(
        id="0" * 16, origin="a.jsonl:1", input="Rome?", target="sunny", payload=payload
    )
    files = {"train": folder / "train.jsonl", "validation": folder / "validation.jsonl"}
    write_examples(files["train"], [example])
    write_examples(files["validation"], [])
    [shown] = examples(files, replace(TASK, labels=()), ViewOptions())
    return shown.beside


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, ()),
        ({"references": ["sunny", "it shines"]}, ("or: it shines",)),
        ({"rejected": [{"role": "assistant", "content": "no"}]}, ("rather than: no",)),
        ({"desirable": True}, ("a thumb up",)),
        ({"desirable": False}, ("a thumb down",)),
    ],
)
def test_what_stands_beside_an_answer_is_shown(
    tmp_path: Path, payload: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert beside(tmp_path, **payload) == expected


def thumbed(folder: Path, name: str, given: str) -> Path:
    rows = [
        Example(
            id=f"{n:016}",
            origin=f"a:{n}",
            input=f"{n}",
            target="a",
            payload={"desirable": up == "+"},
        )
        for n, up in enumerate(given)
    ]
    write_examples(folder / name, rows)
    return folder / name


def test_thumbs_are_counted_and_training_needs_both(tmp_path: Path) -> None:
    files = {
        "train": thumbed(tmp_path, "train", "++"),
        "validation": thumbed(tmp_path, "validation", "+"),
        "holdout": thumbed(tmp_path, "holdout", "+-"),
    }

    assert list(thumbs(files)) == [
        "train: thumb up 2, thumb down 0: training needs both",
        "validation: thumb up 1, thumb down 0",
        "holdout: thumb up 1, thumb down 1",
    ]


def test_rows_without_thumbs_have_none_to_count(tmp_path: Path) -> None:
    write_examples(tmp_path / "train", [Example(id="0" * 16, origin="a:1", input="a", target="b")])

    assert list(thumbs({"train": tmp_path / "train"})) == []
