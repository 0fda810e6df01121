"""Whether a teacher has the student's tokens: compared one by one, whatever the size of the embedding."""

from __future__ import annotations

import pytest

from engine.errors import StageError
from engine.training.teacher_tokens import refuse_other_tokens

STUDENT = {0: "<s>", 1: "a", 2: "b", 4: "ab"}


@pytest.mark.parametrize("teacher", [STUDENT, {**STUDENT, 5: "<pad-1>", 3: "unused"}])
def test_a_teacher_with_the_same_tokens_and_more_is_accepted(teacher: dict[int, str]) -> None:
    refuse_other_tokens(STUDENT, teacher)


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        (
            {**STUDENT, 2: "c", 4: "ac"},
            "token 2 is 'b' in the base model and is 'c' in the teacher",
        ),
        ({0: "<s>", 1: "a", 2: "b"}, "token 4 is 'ab' in the base model and does not exist"),
    ],
    ids=["another", "missing"],
)
def test_the_first_token_that_differs_is_named(teacher: dict[int, str], said: str) -> None:
    with pytest.raises(StageError, match=said) as refused:
        refuse_other_tokens(STUDENT, teacher)

    [problem] = refused.value.problems
    assert (problem.code, problem.path) == ("X744", "teacher.model")
    assert "targets: answers" in (problem.hint or "")
