"""`task.json`: how an exported model wants to be asked, beside the file, in the words of training.

The text around the question is stored as the chat template rendered it, so asking needs no template
engine and gives the same bytes as training. `prompt` is checked against every holdout prompt in `verify`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RecipeError, StageError
from engine.files.reading import read_json
from engine.kinds import AnswerForm
from engine.recipe.model import Task
from engine.recipe.prompt import answer_text, messages, question
from engine.values import Value, replace, to_json

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

CALIBRATION_FILE = "calibration.json"
CALIBRATION_VERSION = 1


class FileCalibration(Value):
    """What `calibration.json` holds."""

    form: str
    """The quantization of the file that was asked; `adapter` for the model before it."""
    temperature: float
    """1 where none was fitted."""
    fitted_rows: int
    """Validation rows."""
    abstain_below: float | None
    """Of the calibrated probability; None where every row is answered."""


def write_calibration(folder: Path, found: FileCalibration) -> None:
    text = json.dumps({"version": CALIBRATION_VERSION, **to_json(found)}, indent=2)
    (folder / CALIBRATION_FILE).write_text(f"{text}\n", encoding="utf-8")


def read_calibration(folder: Path) -> FileCalibration | None:
    """Read `calibration.json` of `folder`; None where there is none. StageError X826 where it is damaged."""
    path = folder / CALIBRATION_FILE
    if not path.exists():
        return None
    try:
        data = read_json(path)
        return _checked(data.pop("version"), FileCalibration(**data))
    # the file may come from anybody: whatever shape it has, the answer is the same
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError.one(
            "X826",
            f"`{CALIBRATION_FILE}` beside the model is damaged, so its probabilities mean nothing",
            hint="take it back from the run, or name the run instead of the file",
        ) from error


def _checked(version: object, found: FileCalibration) -> FileCalibration:
    """Return it; ValueError for values that no calibration has."""
    if version != CALIBRATION_VERSION:
        raise ValueError(version)
    numbers: tuple[Any, ...] = (found.temperature, found.abstain_below or 0.0)
    if not all(type(one) in (int, float) and math.isfinite(one) for one in numbers):
        raise ValueError("a number")
    if found.temperature <= 0 or not 0 <= numbers[1] <= 1:
        raise ValueError("a range")
    if type(found.fitted_rows) is not int or not isinstance(found.form, str):
        raise ValueError("a type")
    return found


FILE = "task.json"
VERSION = 2
READABLE = (1, 2)
"""Version 1 knew classification only, and lacked what ends a turn."""
SPARE_TOKENS = 8
"""Free decoding may say this many tokens more than the longest answer has."""
MOST_TOKENS = 1 << 20
"""Of an answer; as many as the longest `method.max_length`."""
STAND_IN = "qXinputXq"
UNKNOWN_TOKENS = 256
"""For kinds without answers to learn the length from."""


class TaskFile(Value):
    """What `task.json` holds."""

    task: Task
    before: str
    """Prompt text up to the question: instruction and input."""
    after: str
    """Prompt text from the question to where the answer starts."""
    strips: bool
    """The chat template removes white space around the question."""
    answers: tuple[str, ...]
    """By label, each with the text that ends the turn."""
    max_new_tokens: int
    """Enough for the longest answer."""
    terminator: str = ""
    """Text that ends the model's turn."""
    asks_partly_blank: bool = False
    """Rows with a blank column were trained on and judged: only one without any text is not asked."""
    calibration: FileCalibration | None = None
    """What `calibration.json` beside it says; None where there is none."""

    def prompt(self, text: str) -> str:
        text_asked = question(self.task, text)
        return f"{self.before}{text_asked.strip() if self.strips else text_asked}{self.after}"

    def threshold(self, given: float | None) -> float | None:
        """Return the probability below which there is no answer: the caller's, or the model's own; None for none.

        RecipeError R358 for a bound on answers that have no probability.
        """
        kept = self.calibration
        if given and not self.task.spec.is_constrained:
            raise RecipeError.one(
                "R358",
                f"answers of a model of kind `{self.task.kind}` have no probability that a bound could be put on",
                hint="leave --abstain-below out",
            )
        return kept.abstain_below if given is None and kept is not None else given


def make_task_file(
    task: Task, chat: Chat, longest: Sequence[str] = (), *, asks_partly_blank: bool = False
) -> TaskFile:
    """Return how to ask a model of this chat for the task; `longest`: training's longest answers."""
    before, after, strips = _around(task, chat) if task.spec.has_turns else ("", "", False)
    answers = tuple(answer_text(task, label) + chat.terminator for label in task.labels)
    answer_texts = [*answers, *(answer + chat.terminator for answer in longest)]
    counts = [len(chat.token_ids(answer)) for answer in answer_texts]
    room = max(counts) + SPARE_TOKENS if counts else UNKNOWN_TOKENS
    return TaskFile(
        task=task,
        before=before,
        after=after,
        strips=strips,
        answers=answers if task.spec.answer is AnswerForm.LABEL else (),
        max_new_tokens=task.max_new_tokens or room,
        terminator=chat.terminator,
        asks_partly_blank=asks_partly_blank,
    )


def _around(task: Task, chat: Chat) -> tuple[str, str, bool]:
    turns = messages(task, "")[:-1]
    plain = chat.prompt([*turns, {"role": "user", "content": STAND_IN}])
    # Some templates trim what a message holds, and asking from this file has to do the same.
    padded = chat.prompt([*turns, {"role": "user", "content": f" {STAND_IN} "}])
    before, _, after = plain.partition(STAND_IN)
    return before, after, padded == plain


def write_task_file(folder: Path, task_file: TaskFile) -> None:
    written = {"version": VERSION, **to_json(replace(task_file, calibration=None))}
    del written["calibration"]  # `verify` finds it, when this file is long written
    if not task_file.asks_partly_blank:
        del written["asks_partly_blank"]  # so that most files stay the bytes that locks name
    text = json.dumps(written, indent=2, ensure_ascii=False)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


def read_task_file(folder: Path) -> TaskFile:
    """Read `task.json` of `folder`, and the calibration beside it.

    StageError X642 when it is missing or not of this version; X826 for a damaged calibration.
    """
    path = folder / FILE
    try:
        data = read_json(path)
        version, task = data.pop("version"), data.pop("task")
        labels = tuple(task.pop("labels"))
        task_file = TaskFile(
            **{**data, "answers": tuple(data["answers"])}, task=Task(**task, labels=labels)
        )
        _check(version, task_file)
    # The file may come from anybody: whatever shape it has, the answer is the same.
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError.one(
            "X642",
            f"`{FILE}` beside the model is missing or damaged, so it is not known how to ask it",
            hint="keep the exported files together, or name the run instead of the file",
        ) from error
    return replace(task_file, calibration=read_calibration(folder))


def _check(version: object, task_file: TaskFile) -> None:
    """Raise ValueError or TypeError for a file whose values are not what asking needs."""
    if version not in READABLE:
        raise ValueError(version)
    if task_file.calibration is not None:
        raise ValueError("it stands in a file of its own")
    task = task_file.task
    texts = (
        *(
            task_file.before,
            task_file.after,
            task_file.terminator,
            *task_file.answers,
            *task.labels,
        ),
        *(task.kind, task.instruction, task.system, task.input, task.output, task.out_of_scope),
    )
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is none")
    if task.spec.answer is AnswerForm.LABEL and len(task_file.answers) != len(task.labels):
        raise ValueError("each label has one answer")
    # The exact type: `true` is an int to `isinstance`.
    if type(task_file.max_new_tokens) is not int or not 0 < task_file.max_new_tokens <= MOST_TOKENS:
        raise ValueError("max_new_tokens")
    flags = task_file.strips, task_file.asks_partly_blank
    if not isinstance(task.schema, dict | None) or not all(isinstance(one, bool) for one in flags):
        raise TypeError("schema, strips or asks_partly_blank")
