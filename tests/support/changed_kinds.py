"""The versions of `support.changed_data` as other kinds of task: what a row says, and how the recipe reads it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from support.recipe_pairs import TOPICS

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How rows of text and topic become rows of a kind."""

    row: Callable[[Row], dict[str, Any]]
    task: Mapping[str, Any]
    data: Mapping[str, Any]
    metric: str
    bound: Mapping[str, float]
    nested: bool = False
    """Its rows hold lists, so that a file is JSON lines."""

    def recipe(self, whole: dict[str, Any]) -> dict[str, Any]:
        """Return a recipe of a classification as one of this kind."""
        data = {key: value for key, value in whole["data"].items() if key != "label"}
        checks = data["checks"]
        kept = ("near_duplicates", "duplicates", "leakage", "personal_data")
        data["checks"] = {name: checks[name] for name in kept}
        splits = dict(whole["splits"])
        if splits["by"] == "stratified" and not self.task.get("labels"):
            splits["by"] = "random"
        return {
            **{key: value for key, value in whole.items() if key != "baselines"},
            "task": dict(self.task),
            "data": {**data, **self.data},
            "splits": splits,
            "acceptance": {"metrics": {self.metric: dict(self.bound)}},
        }


def _several(row: Row) -> dict[str, Any]:
    return {**row, "topic": ",".join(sorted({row["topic"], row["other"]}))}


def _turns(row: Row) -> dict[str, Any]:
    turns = (
        {"who": "USER", "words": row["text"]},
        {"who": "AGENT", "words": f"It is {row['topic']}."},
    )
    return {**{key: row[key] for key in row if key != "text"}, "turns": list(turns)}


def _order(row: Row) -> dict[str, Any]:
    return {**row, "item": row["topic"]}


def _document(row: Row) -> dict[str, Any]:
    return {**row, "text": f"{row['text']} {row['topic']} {row['other']} and so on"}


_ASKED: Final = {"instruction": "Which topic is it?", "input": "{text}"}
SHAPES: Final[Mapping[str, Shape]] = {
    "multilabel": Shape(
        row=_several,
        task={"kind": "multilabel", **_ASKED, "labels": list(TOPICS)},
        data={"label": {"column": "topic", "separator": ","}},
        metric="macro_f1",
        bound={"min": 0.6},
    ),
    "extraction": Shape(
        row=_order,
        task={
            "kind": "extraction",
            **_ASKED,
            "schema": {
                "type": "object",
                "properties": {"item": {"type": "string"}, "customer": {"type": "string"}},
                "required": ["item", "customer"],
                "additionalProperties": False,
            },
        },
        data={"answer": {"fields": {"item": "item", "customer": "customer"}}},
        metric="field_f1",
        bound={"min": 0.6},
    ),
    "generation": Shape(
        row=lambda row: {**row, "topic": f"It is about {row['topic']}."},
        task={"kind": "generation", **_ASKED},
        data={"answer": {"column": "topic"}},
        metric="exact_match",
        bound={"min": 0.6},
    ),
    "chat": Shape(
        row=_turns,
        task={"kind": "chat"},
        data={
            "messages": {
                "column": "turns",
                "role": "who",
                "content": "words",
                "roles": {"USER": "user", "AGENT": "assistant"},
            }
        },
        metric="perplexity",
        bound={"max": 8.0},
        nested=True,
    ),
    "preference": Shape(
        row=lambda row: {**row, "better": f"Yes, {row['topic']}.", "worse": f"No {row['other']}!"},
        task={"kind": "preference"},
        data={"pair": {"prompt": "text", "chosen": "better", "rejected": "worse"}},
        metric="preference_accuracy",
        bound={"min": 0.6},
    ),
    "text": Shape(
        row=_document,
        task={"kind": "text", "input": "{text}"},
        data={},
        metric="bits_per_byte",
        bound={"max": 1.2},
    ),
}
"""By kind; a classification needs none."""


def lines_of(rows: list[dict[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
