"""`task.json`: how an exported model wants to be asked, beside the file, in the words of training.

The text around the question is stored as the chat template rendered it, so asking needs no template
engine and gives the same bytes as training. `prompt` is checked against every holdout prompt in `verify`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RecipeError, StageError
from engine.files.reading import read_json
from engine.kinds import AnswerForm
from engine.recipe.model import Task
from engine.recipe.prompt import answer_text, messages, question
from engine.values import Value, from_json, replace, to_json

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

CALIBRATION_FILE = "calibration.json"
CALIBRATION_VERSION = 1


class FileCalibration(Value):
    """The contents of `calibration.json`."""

    form: str
    """The quantization of the file that was asked; `adapter` for the model before it."""
    temperature: float
    """1 where none was fitted."""
    fitted_rows: int
    abstain_below: float | None
    """The calibrated probability below which no answer is given; None where every row is answered."""


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
        version, found = data.pop("version"), from_json(FileCalibration, data)
        _require(
            version == CALIBRATION_VERSION,
            found.temperature > 0,
            0 <= (found.abstain_below or 0.0) <= 1,
        )
    # the file may come from anybody: whatever shape it has, the answer is the same
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = (
            f"`{CALIBRATION_FILE}` beside the model is damaged, so its probabilities mean nothing"
        )
        hint = "take it back from the run, or name the run instead of the file"
        raise StageError.one("X826", what, hint=hint) from error
    return found


def _require(*conditions: bool) -> None:
    if not all(conditions):
        raise ValueError("a value that the file cannot have")


FILE = "task.json"
VERSION = 2
READABLE = (1, 2)
"""Version 1 knew classification only, and lacked what ends a turn."""
SPARE_TOKENS = 8
"""Free decoding may say this many tokens more than the longest answer has."""
MOST_TOKENS = 1 << 20
"""Tokens of an answer; as many as the longest `method.max_length`."""
STAND_IN = "qXinputXq"
UNKNOWN_TOKENS = 256
"""Tokens for kinds without answers to learn the length from."""


class TaskFile(Value):
    """The contents of `task.json`."""

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
    terminator: str = ""
    asks_partly_blank: bool = False
    """Rows with a blank column were trained on and judged: only one without any text is not asked."""
    calibration: FileCalibration | None = None

    def prompt(self, text: str) -> str:
        text_asked = question(self.task, text)
        return f"{self.before}{text_asked.strip() if self.strips else text_asked}{self.after}"

    def threshold(self, given: float | None) -> float | None:
        """Return the probability below which there is no answer: the caller's, or the model's own; None for none.

        RecipeError R358 for a bound on answers that have no probability.
        """
        kept = self.calibration
        if given and not self.task.spec.is_constrained:
            what = f"answers of a model of kind `{self.task.kind}` have no probability that a bound could be put on"
            hint = "leave --abstain-below out"
            raise RecipeError.one("R358", what, hint=hint)
        return kept.abstain_below if given is None and kept is not None else given


def make_task_file(
    task: Task, chat: Chat, longest: Sequence[str] = (), *, asks_partly_blank: bool = False
) -> TaskFile:
    """Return how to ask a model of this chat for the task; `longest`: training's longest answers."""
    before, after, strips = "", "", False
    if task.spec.has_turns:
        turns = messages(task, "")[:-1]
        plain = chat.prompt([*turns, {"role": "user", "content": STAND_IN}])
        before, _, after = plain.partition(STAND_IN)
        # Some templates trim what a message holds, and asking from this file has to do the same.
        strips = plain == chat.prompt([*turns, {"role": "user", "content": f" {STAND_IN} "}])
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


def write_task_file(folder: Path, task_file: TaskFile) -> None:
    written = {"version": VERSION, **to_json(replace(task_file, calibration=None))}
    del written["calibration"]  # `verify` finds it, when this file is long written
    if not task_file.asks_partly_blank:
        del written["asks_partly_blank"]  # so that most files stay the bytes that locks name
    text = json.dumps(written, indent=2, ensure_ascii=False)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


def read_task_file(folder: Path) -> TaskFile:
    """Read `task.json` of `folder`, and the calibration beside it. StageError X642 where it is damaged, X826."""
    path = folder / FILE
    try:
        data = read_json(path)
        version, found = data.pop("version"), from_json(TaskFile, data)
        is_label = found.task.spec.answer is AnswerForm.LABEL
        _require(
            version in READABLE,
            found.calibration is None,  # which is in a file of its own
            not is_label or len(found.answers) == len(found.task.labels),
            0 < found.max_new_tokens <= MOST_TOKENS,
            isinstance(found.task.schema, dict | None),
        )
    # The file may come from anybody: whatever shape it has, the answer is the same.
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"`{FILE}` beside the model is missing or damaged, so it is not known how to ask it"
        hint = "keep the exported files together, or name the run instead of the file"
        raise StageError.one("X642", what, hint=hint) from error
    return replace(found, calibration=read_calibration(folder))
