"""The usual shapes of rows, recognised by their columns.

Light: `recipe plan` names the shape of a file from its first row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.data.reading.row import SHOWN, excerpt
from engine.errors import DataError
from engine.recipe.model import Data, Shape, Task

Values = Mapping[str, Any]

TURNS: Final = ("messages", "conversations")
"""Columns that hold the turns of a conversation."""
ANSWERS: Final = ("completion", "response")
"""Columns of the answer beside `prompt`."""
THUMBS: Final = ("label", "kto_tag")
"""Columns of a KTO row that say whether the answer is wanted."""


def recognise(values: Values) -> Shape | None:
    """Return the shape of a row, or None when it has none of the usual ones."""
    # The narrowest shape first: a DPO or KTO row also has the columns of a prompt or of turns.
    if _is_dpo(values):
        return "dpo"
    turns = _first_turn(values)
    is_prompt = "prompt" in values and any(column in values for column in ANSWERS)
    is_alpaca = "instruction" in values and "output" in values
    if any(isinstance(values.get(column), bool) for column in THUMBS) and (
        turns is not None or is_prompt or is_alpaca
    ):
        return "kto"
    if turns is not None:
        return "sharegpt" if "from" in turns else "openai_messages"
    if is_prompt:
        return "prompt_completion"
    return "alpaca" if is_alpaca else None


def _is_dpo(values: Values) -> bool:
    if "chosen_messages" in values and "rejected_messages" in values:
        return True
    if "chosen" not in values or "rejected" not in values:
        return False
    asked = ("prompt", "instruction", *TURNS)
    whole = isinstance(values["chosen"], list) and isinstance(values["rejected"], list)
    return whole or any(column in values for column in asked)


def _first_turn(values: Values) -> Values | None:
    for column in TURNS:
        found = values.get(column)
        if isinstance(found, list) and found and isinstance(found[0], Mapping):
            return found[0] if {"from", "role"} & found[0].keys() else None
    return None


def shape_of(task: Task, data: Data, first_row: Values) -> Shape:
    """Return the shape of a source by its first row; never `auto`.

    `columns` where the recipe says where things are, or the kind always needs it to.
    DataError D350 when the kind needs a shape and the row has none of those that fit it.
    """
    if data.shape != "auto":
        return data.shape
    fitting, key = task.spec.formats, task.spec.columns_key
    if not fitting or getattr(data, key) is not None:
        return "columns"
    found = recognise(first_row)
    if found is not None and found in fitting:
        return found
    columns = ", ".join(f"`{excerpt(name)}`" for name in list(first_row)[:SHOWN])
    seen = f"is {found}" if found else "is of no known shape"
    hint = f"say under data.{key} which columns hold what"
    thumb = next((name for name in THUMBS if name in first_row), None)
    if found is not None and "kto" in fitting and thumb is not None:
        hint = (
            f"kto needs a `{thumb}` that is true or false, not `{excerpt(str(first_row[thumb]))}`"
        )
    raise DataError.one(
        "D350",
        f"the first row {seen}, {task.kind} needs {' or '.join(fitting)}; its columns are {columns}",
        path="data.shape",
        hint=hint,
    )
