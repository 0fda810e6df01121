"""Whether a teacher has the tokens of the student: soft targets are probabilities of tokens, by their numbers.

The number of rows in the embedding says nothing: models of one family pad it to other sizes, and two tokenizers of
one size can differ everywhere. So the tokens are compared, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.artifacts.stage import StageContext
from engine.errors import Problem, StageError
from engine.files.reading import read_json
from engine.recipe.teacher import soft_targets_of


def refuse_other_tokenizer(context: StageContext) -> int:
    """Return how many tokens the student's tokenizer has, up to its highest number; 0 without soft targets.

    Raises:
        StageError: X744 for a teacher of another tokenizer; the errors of `locate_tokenizer`.

    """
    teacher = context.recipe.teacher
    if teacher is None or soft_targets_of(context.recipe) is None or teacher.model.ref is None:
        return 0
    from engine.runtime.models.base_model import locate_tokenizer  # brings torch

    theirs = locate_tokenizer(teacher.model.ref, context.cached, context.progress)
    student = tokens_of(context.base_model_folder())
    if problems := [*other_tokens(student, tokens_of(theirs))]:
        raise StageError(problems)
    return max(student) + 1


def other_tokens(student: Mapping[int, str], teacher: Mapping[int, str]) -> Iterator[Problem]:
    """Yield X744 with the first token of the student's which the teacher does not have at its number."""
    for number, token in sorted(student.items()):
        found = teacher.get(number)
        if found != token:
            theirs = "does not exist" if found is None else f"is {found!r}"
            yield Problem(
                code="X744",
                message=f"the teacher has another tokenizer: token {number} is {token!r} in the base model and "
                f"{theirs} in the teacher",
                path="teacher.model",
                hint="set `teacher.targets: answers`, or name a teacher with the base model's tokenizer",
            )
            return


def tokens_in(file: Path) -> dict[int, str]:
    """Return the tokens of a tokenizer.json, by number; none where it cannot be read. Light: no library is asked."""
    try:
        whole = read_json(file)
        words = whole["model"]["vocab"]
        # Of Unigram a list, each with its probability.
        pairs = (
            words.items()
            if isinstance(words, dict)
            else ((one[0], number) for number, one in enumerate(words))
        )
        found = {int(number): str(token) for token, number in pairs}
        added = {int(one["id"]): str(one["content"]) for one in whole.get("added_tokens", ())}
    # Whoever loads the tokenizer says what is wrong with it.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return {}
    return found | added


def tokens_of(folder: Path) -> dict[int, str]:
    """Return the tokens of a model folder's tokenizer, by number."""
    from engine.runtime.rendering.chat import load_chat  # brings transformers

    vocabulary = load_chat(folder, asks=False).tokenizer.get_vocab()
    # Sorted, so that of two tokens with one number the same one is kept each time.
    return {int(number): token for token, number in sorted(vocabulary.items(), reverse=True)}
