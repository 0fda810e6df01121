"""Requests for synthetic rows: one row each, after examples of training rows."""

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from engine.data.examples.example import Example
from engine.data.examples.template import parse_template
from engine.kinds import AnswerForm
from engine.recipe.model import Recipe, Task
from engine.recipe.prompt import joined_labels
from engine.recipe.teacher import LABEL, synthesis_of
from engine.values import Value, replace

DEFINITIONS: Final = ("$defs", "definitions")
"""Keys of a JSON Schema whose references start at its root."""
EXAMPLE_CHARACTERS: Final = 2_000
"""Examples are drawn from training texts up to this length, where there are any."""
OBJECT_BYTES: Final = 32
"""Bytes of an object besides the text of a column: its name, quotes and escapes."""
LONG: Final = 0.99
"""This share of the training texts is at most as long as a written one may be."""


class RowRequest(Value):
    number: int
    target: str
    """The answer that the row shall have; empty where the model writes that too."""
    text: str


def row_requests(recipe: Recipe, train: Sequence[Example]) -> list[RowRequest]:
    draw = _Draw(recipe, train)
    return [draw.request(number) for number in range(1, draw.value.rows + 1)]


def writing_task(recipe: Recipe, train: Sequence[Example]) -> Task:
    """Return the task of writing: an object with the columns of a row, and its answer where that is an object."""
    task = recipe.task
    longest = sorted(len(row.input.encode(errors="replace")) for row in train)
    most = longest[int(LONG * (len(longest) - 1))]
    columns = parse_template(task.input).columns
    if writes_answer(task):
        answers = sorted(len(row.target.encode(errors="replace")) for row in train)
        most += answers[int(LONG * (len(answers) - 1))]
    return replace(
        task,
        kind="extraction",
        instruction="",
        system="",
        input="{text}",
        labels=(),
        schema=row_schema(task),
        output="text",
        out_of_scope="",
        # no tokenizer makes more tokens than bytes
        max_new_tokens=most + OBJECT_BYTES * (len(columns) + 1),
    )


def row_schema(task: Task) -> dict[str, Any]:
    columns = list(dict.fromkeys(parse_template(task.input).columns))
    properties: dict[str, Any] = {column: {"type": "string"} for column in columns}
    above: dict[str, Any] = {}
    if writes_answer(task) and isinstance(task.schema, Mapping):
        own = dict(task.schema)
        above = {name: own.pop(name) for name in DEFINITIONS if name in own}
        properties[answer_key(task)] = own
    return {
        **above,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def writes_answer(task: Task) -> bool:
    """Tell whether the model writes the answer beside the row: there is no list of answers to ask for."""
    return task.spec.answer is AnswerForm.OBJECT


def answer_key(task: Task) -> str:
    """Return the key of the answer in a written row, which no column has."""
    name = "answer"
    while name in parse_template(task.input).columns:
        name = f"_{name}"
    return name


class _Draw:
    def __init__(self, recipe: Recipe, train: Sequence[Example]) -> None:
        self.recipe, self.value = recipe, synthesis_of(recipe)
        # In an order that the seed draws.
        self.rows = sorted(
            train, key=lambda row: sha256(f"synthetic:{self.value.seed}:{row.id}".encode()).digest()
        )
        self.by_target: dict[str, list[Example]] = defaultdict(list)
        self.by_label: dict[str, list[Example]] = defaultdict(list)
        """Rows by label; of tasks with several labels, the rows that have it among others."""
        for row in self.rows:
            self.by_target[row.target].append(row)
            for label in row.labels:
                self.by_label[label].append(row)

    def request(self, number: int) -> RowRequest:
        value = self.value
        draw = random.Random(f"{value.seed}:{number}")  # noqa: S311 - a reproducible order, no secret
        target = self._target(number, draw)
        values = {name: draw.choice(list(words)) for name, words in value.vary}
        fitting = self.by_target.get(target, ()) if target else self.rows
        # a long text among the examples leaves no room for the others
        short = [row for row in fitting if len(row.input) <= EXAMPLE_CHARACTERS] or fitting
        shown = draw.sample(short, min(self.value.examples, len(short)))
        return RowRequest(number=number, target=target, text=self._text(target, values, shown))

    def _target(self, number: int, draw: random.Random) -> str:
        task = self.recipe.task
        if writes_answer(task):
            return ""
        if self.value.balance == "as_data":
            return draw.choice(self.rows).target
        label = task.labels[(number - 1) % len(task.labels)]
        if task.spec.answer is AnswerForm.LABEL:
            return label
        with_label = self.by_label.get(label, ())
        return draw.choice(with_label).target if with_label else joined_labels(task, [label])

    def _text(self, target: str, values: Mapping[str, str], shown: Sequence[Example]) -> str:
        parts = [self._wish(target, values)]
        if shown:
            same = " with that answer" if target else ""
            parts.append(f"Examples of inputs{same}:")
            for row in shown:
                key = f"\n-> {json.dumps(answer_key(self.recipe.task))}: {row.target}"
                parts.append(row.input + (key if writes_answer(self.recipe.task) else ""))
        keys = ", ".join(f'"{key}"' for key in row_schema(self.recipe.task)["properties"])
        parts.append(
            "Write one new input that is none of the examples and no rewording of one."
            f" Answer with one JSON object that has the keys {keys} and nothing else."
        )
        return "\n\n".join(parts)

    def _wish(self, target: str, values: Mapping[str, str]) -> str:
        if self.value.prompt:
            template = parse_template(self.value.prompt)
            return template.fill({**values, LABEL: target})[0]
        task = self.recipe.task
        instruction = task.instruction.replace("{labels}", ", ".join(task.labels))
        parts = [f"Another model is given this task for each input: {instruction}"]
        parts += [f"Its right answer to the new input has to be: {target}"] if target else []
        parts += [f"{name}: {word}" for name, word in values.items()]
        return "\n\n".join(parts)
