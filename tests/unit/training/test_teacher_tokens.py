"""Whether a teacher has the student's tokens: compared one by one, whatever the size of the embedding."""

import json
from pathlib import Path

import pytest

from engine.training.soft_targets import other_tokens, tokens_in, tokens_of
from support.pico import make_pico_model

STUDENT = {0: "<s>", 1: "a", 2: "b", 4: "ab"}


@pytest.mark.parametrize("teacher", [STUDENT, {**STUDENT, 5: "<pad-1>", 3: "unused"}])
def test_a_teacher_with_the_same_tokens_and_more_is_accepted(teacher: dict[int, str]) -> None:
    assert list(other_tokens(STUDENT, teacher)) == []


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        (
            {**STUDENT, 2: "c", 4: "ac"},
            "token 2 is 'b' in the base model and is 'c' in the teacher",
        ),
        ({0: "<s>", 1: "a", 2: "b"}, "token 4 is 'ab' in the base model and does not exist"),
    ],
    ids=["another", "missing"],
)
def test_the_first_token_that_differs_is_named(teacher: dict[int, str], expected: str) -> None:
    [problem] = other_tokens(STUDENT, teacher)

    assert expected in problem.message
    assert (problem.code, problem.path) == ("X744", "teacher.model")
    assert "targets: answers" in (problem.hint or "")


def test_tokens_are_read_of_a_file_as_the_library_has_them(tmp_path: Path) -> None:
    model = make_pico_model(tmp_path / "model")

    assert tokens_in(model / "tokenizer.json") == tokens_of(model)


def test_tokens_of_a_list_are_numbered_by_their_place(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    added = [{"id": 2, "content": "</s>"}]
    whole = {"model": {"vocab": [["<unk>", 0.0], ["a", -1.5]]}, "added_tokens": added}
    file.write_text(json.dumps(whole), encoding="utf-8")

    assert tokens_in(file) == {0: "<unk>", 1: "a", 2: "</s>"}
