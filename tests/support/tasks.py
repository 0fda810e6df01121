"""Tasks and data sections for tests of single rows."""

from typing import Any

from engine.data.examples.chat_formats import shape_of
from engine.data.examples.template import Filled
from engine.data.kinds import filler
from engine.recipe.model import AnswerSpec, Checks, Data, LabelSpec, MessagesSpec, Task

NO_CHECKS = Checks(**dict.fromkeys(Checks.__struct_fields__, "off"))  # type: ignore[arg-type]


def task(kind: str, **changes: Any) -> Task:
    """Return a task with little in it."""
    given: dict[str, Any] = {
        "kind": kind,
        "instruction": "",
        "system": "",
        "input": "{text}",
        "labels": (),
        "schema": None,
        "output": "text",
    }
    return Task(**(given | changes))


def data(**changes: Any) -> Data:
    """Return a data section that says nothing but what is given."""
    given: dict[str, Any] = {
        "sources": (),
        "shape": "auto",
        "label": None,
        "answer": None,
        "messages": None,
        "pair": None,
        "sample": None,
        "checks": NO_CHECKS,
    }
    return Data(**(given | changes))


def label(**changes: Any) -> LabelSpec:
    """Return where labels are: the column `y`."""
    return LabelSpec(**({"column": "y", "relabel": (), "bins": (), "separator": ","} | changes))


def answer(**changes: Any) -> AnswerSpec:
    """Return where answers are: nowhere, unless it is given."""
    nothing = {"column": "", "references": (), "fields": (), "spans": None, "tags": None}
    return AnswerSpec(**(nothing | changes))


def messages(**changes: Any) -> MessagesSpec:
    """Return where turns are: the column `turns`, with OpenAI's keys."""
    given = {"column": "turns", "role": "role", "content": "content", "roles": ()}
    return MessagesSpec(**(given | {"system": "", "tools": ""} | changes))


def fill(task_: Task, data_: Data, row: dict[str, Any]) -> Filled:
    """Return a row as the task sees it."""
    return filler(task_, data_, shape_of(task_, data_, row))(row)
