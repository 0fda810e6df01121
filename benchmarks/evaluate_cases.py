"""The tasks that are evaluated: real rows from ../shared/data, asked as a recipe would ask them.

Also rows to tune a model on. Nothing of the data is kept.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.recipe.model import Task
from engine.recipe.prompt import answer_text, messages
from engine.runtime.rendering.chat import Chat

DATA = Path(__file__).parents[2] / "shared" / "data"
Rows = list[tuple[str, str]]
"""(text, label)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One task with its rows."""

    task: Task
    train: Rows
    test: Rows

    def prompts(self, chat: Chat, rows: int) -> list[str]:
        """Return what is asked of the first test rows."""
        return [chat.prompt(messages(self.task, text)) for text, _ in self.test[:rows]]

    def answers(self, chat: Chat) -> list[str]:
        """Return the valid answers, with the turn's ending."""
        return [answer_text(self.task, label) + chat.terminator for label in self.task.labels]


def load_case(name: str) -> Case:
    """Return a case; FileNotFoundError where its data are absent."""
    instruction, read = (CASES | MORE_CASES)[name]
    train, test = read()
    draw = random.Random(4)  # noqa: S311 - repeatable
    for rows in (train, test):
        draw.shuffle(rows)
    labels = tuple(sorted({label for _, label in train}))
    task = Task(
        kind="classification",
        instruction=instruction,
        system="",
        input="{text}",
        labels=labels,
        schema=None,
        output="text",
    )
    return Case(task=task, train=train, test=test)


def _banking77() -> tuple[Rows, Rows]:
    def read(name: str) -> Rows:
        with (DATA / "banking77" / name).open(encoding="utf-8", newline="") as stream:
            return [(row["text"], row["category"]) for row in csv.DictReader(stream)]

    return read("train.csv"), read("test.csv")


def _snips() -> tuple[Rows, Rows]:
    def read(name: str) -> Rows:
        texts, labels = (
            (DATA / "snips" / name / part).read_text("utf-8").splitlines()
            for part in ("seq.in", "label")
        )
        return [(text.strip(), label) for text, label in zip(texts, labels, strict=True)]

    return read("train"), read("test")


def _headlines() -> tuple[Rows, Rows]:
    names = {"0": "serious", "1": "satirical"}
    path = DATA / "sarcasm_headlines" / "headlines.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        read = [json.loads(line) for line in stream]
    rows = [(row["text"], names[row["label"]]) for row in read]
    return rows[2000:], rows[:2000]


def _sms_spam() -> tuple[Rows, Rows]:
    text = (DATA / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8")
    pairs = (line.partition("\t") for line in text.split("\n") if line)
    rows = [(message, label) for label, _, message in dict.fromkeys(pairs)]
    random.Random(4).shuffle(rows)  # noqa: S311 - repeatable
    return rows[1000:], rows[:1000]


def _emotions() -> tuple[Rows, Rows]:
    """Indonesian tweets: a language that most small models and encoders do not know."""
    folder = DATA / "indonlu_emot_id"
    with gzip.open(folder / "train.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        train = [(row["tweet"], row["label"]) for row in csv.DictReader(stream)]
    with (folder / "test.csv").open(encoding="utf-8", newline="") as stream:
        return train, [(row["tweet"], row["label"]) for row in csv.DictReader(stream)]


CASES: dict[str, tuple[str, Callable[[], tuple[Rows, Rows]]]] = {
    "banking77": (
        "Which intent does this message to a bank have? Answer with one of: {labels}.",
        _banking77,
    ),
    "snips": (
        "What does the speaker want from the assistant? Answer with one of: {labels}.",
        _snips,
    ),
    "headlines": ("Is this headline serious or satirical?", _headlines),
}
"""77, 7 and 2 labels."""
MORE_CASES: dict[str, tuple[str, Callable[[], tuple[Rows, Rows]]]] = {
    "sms_spam": ("Is this message spam?", _sms_spam),
    "emotions": ("Which emotion does this tweet show? Answer with one of: {labels}.", _emotions),
}
"""Of baselines only."""
