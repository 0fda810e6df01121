"""A teacher asked for its probabilities of the tokens that are trained: each row once, whatever is trained by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.artifacts.stage import StageContext
from engine.environment import version_of
from engine.errors import Problem, StageError
from engine.files.reading import read_json
from engine.recipe.teacher import soft_targets_of
from engine.runtime.rendering.segments import TokenRow
from engine.store import Artifact

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel
    from engine.runtime.training.soft_targets import Targets


def refuse_other_tokenizer(context: StageContext) -> int:
    """Return how many tokens the student's tokenizer has, up to its highest number; 0 without soft targets.

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
    from engine.runtime.rendering.chat import load_chat  # brings transformers

    vocabulary = load_chat(folder, asks=False).tokenizer.get_vocab()
    # Sorted, so that of two tokens with one number the same one is kept each time.
    return {int(number): token for token, number in sorted(vocabulary.items(), reverse=True)}


PRODUCT: Final = "teacher_targets"
REVISION: Final = 1
"""Bumped when the same teacher and rows would now give other targets."""
MOST: Final = 32
"""Tokens that are kept at each place: 192 bytes."""
PART: Final = 32
"""Rows of one product: a killed run asks so many again, at most."""
STAGE: Final = "soft_targets"
"""The stage whose artifact holds the targets of all rows."""

Row = Mapping[str, list[int]]
"""`input_ids` and `labels`, as they are trained."""


@dataclass(slots=True)
class TeacherForTargets:
    context: StageContext
    load: Callable[[], LoadedModel]
    """Called when the first row is asked."""
    identity: Mapping[str, Any]
    """Identity of the model, as it is in keys."""
    vocabulary: int
    """Tokens of the student's tokenizer: no other can be a target."""
    asked: int = 0
    """Rows that went through the model in this run; the others were asked before."""
    _loaded: LoadedModel | None = None

    def targets(self, rows: Sequence[Row]) -> dict[bytes, Targets]:
        """Return the targets of rows by `row_key`, asking those that were never asked.

        StageError: X745 the teacher's numbers are not finite, and the errors of loading it.
        """
        from engine.runtime.training.soft_targets import TargetTable, row_key  # brings torch

        different = {row_key(row): row for row in rows}
        found: dict[bytes, Targets] = {}
        for part in map(dict, batched(different.items(), PART, strict=False)):
            table = TargetTable(self._product(part).path)
            known = {key: table.of([row]) for key, row in part.items()}
            found |= {key: one for key, one in known.items() if one is not None}
            self.context.progress.update(len(found), len(different), "rows asked")
        return found

    def _product(self, part: Mapping[bytes, Row]) -> Artifact:
        payload = {
            "revision": REVISION,
            "teacher": dict(self.identity),
            "rows": sha256(b"".join(part)).hexdigest(),
            "most": MOST,
            "vocabulary": self.vocabulary,
            "device": self.context.device.kind,
            "precision": self.context.precision,
            "versions": {tool: version_of(tool) for tool in ("torch", "transformers")},
        }

        def build(folder: Path) -> None:
            from engine.runtime.rendering.rendered_files import IGNORED  # brings torch
            from engine.runtime.scoring.likelihood import packs
            from engine.runtime.training.soft_targets import targets_of, write_table

            keys, model = [*part], self._teacher()
            rows = [
                TokenRow(
                    ids=tuple(row["input_ids"]),
                    learned=tuple(label != IGNORED for label in row["labels"]),
                )
                for row in part.values()
            ]
            found: dict[bytes, Targets] = {}
            for members, pack in packs(model, rows):
                asked = targets_of(model, pack, most=MOST, vocabulary=self.vocabulary)
                found |= zip((keys[member] for member in members), asked, strict=True)
            self.asked += len(found)
            write_table(folder, keys, [found[key] for key in keys])

        return self.context.cached(PRODUCT, payload, build)

    def _teacher(self) -> LoadedModel:
        self._loaded = self._loaded or self.load()
        return self._loaded
