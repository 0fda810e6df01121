"""The usual shapes of rows, recognised by their columns.

Light: `recipe plan` names the shape of a file from its first row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.data.examples.template import Filled, MissingColumnError, as_text, lookup, malformed
from engine.data.examples.turns import ROLES, Turn, read_tools, read_turns, turn_texts, with_system
from engine.data.reading.row import SHOWN, excerpt
from engine.errors import DataError
from engine.recipe.model import Data, MessagesSpec, Shape, Task


def filled_turns(
    asked: list[Turn],
    target: str,
    payload: Mapping[str, Any],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    lacks: bool,
) -> Filled:
    """Return the row whose input is what was asked; a blank target is none."""
    return Filled(
        input=turn_texts(asked),
        target=target if target.strip() else "",
        payload={**payload, **({"tools": tools} if tools else {})},
        lacks=lacks,
    )


def first_column(values: Values, columns: tuple[str, ...]) -> str:
    """Return the first of some columns that the row has; `MissingColumnError` for none."""
    for column in columns:
        if column in values:
            return column
    raise MissingColumnError(columns[0])


def text_of(values: Values, column: str) -> str:
    return as_text(lookup(values, column)) or ""


def listed_turns(values: Values) -> list[Turn]:
    """Return the turns of an OpenAI or ShareGPT row, its system column first."""
    turns = read_turns(values[first_column(values, TURNS)])
    return with_system(turns, values.get("system"))


def named_turns(values: Values, spec: MessagesSpec) -> list[Turn]:
    roles = dict(spec.roles) or ROLES
    turns = read_turns(
        lookup(values, spec.column), keys=(spec.role, spec.content), roles={**ROLES, **roles}
    )
    return with_system(turns, lookup(values, spec.system) if spec.system else None)


def shaped_tools(values: Values) -> list[dict[str, Any]]:
    old = read_tools(values.get("functions"))
    return read_tools(values.get("tools")) or old


def shaped_turns(values: Values, shape: str) -> list[Turn]:
    """Return question and answer, or the whole conversation, of a row that holds one answer."""
    if shape == "alpaca":
        return [*asked_by_instruction(values), _answer(text_of(values, "output"))]
    if shape == "prompt_completion":
        answer = values[first_column(values, ANSWERS)]
        turns = read_turns(answer) if isinstance(answer, list) else [_answer(answer)]
        return [*asked_by_prompt(values), *turns]
    return listed_turns(values)


def asked_by_instruction(values: Values) -> list[Turn]:
    """Return an Alpaca row's question: system, history, then instruction, blank line, input."""
    question = [text_of(values, "instruction")]
    question += [as_text(values.get("input")) or ""]
    asked = "\n\n".join(text for text in question if text.strip())
    turns = [*_history(values.get("history")), {"role": "user", "content": asked}]
    return with_system(turns, values.get("system"))


def asked_by_prompt(values: Values) -> list[Turn]:
    prompt = lookup(values, "prompt")
    return with_system(read_asked(prompt), values.get("system"))


def read_asked(prompt: object) -> list[Turn]:
    """Return what was asked: a text is one turn of the user."""
    if isinstance(prompt, list):
        return read_turns(prompt)
    return [{"role": "user", "content": as_text(prompt) or ""}]


def read_answer(answer: object) -> list[Turn]:
    """Return an answer: a text, a turn, or a list of turns."""
    if isinstance(answer, list | Mapping):
        return read_turns(answer)
    return [_answer(answer)]


def _answer(answer: object) -> Turn:
    return {"role": "assistant", "content": as_text(answer) or ""}


def _history(history: object) -> list[Turn]:
    if history is None or history == "":
        return []
    if not isinstance(history, list):
        raise malformed("has a history that is no list")
    turns: list[Turn] = []
    for pair in history:
        if not isinstance(pair, list) or len(pair) != len(("question", "answer")):
            raise malformed("has a round of history that is no pair of question and answer")
        turns += [*read_asked(as_text(pair[0]) or ""), _answer(pair[1])]
    return turns


Values = Mapping[str, Any]

TURNS: Final = ("messages", "conversations")
ANSWERS: Final = ("completion", "response")
"""Columns of the answer beside `prompt`."""
THUMBS: Final = ("label", "kto_tag")
"""Columns of a KTO row that say whether the answer is wanted."""


def recognise(values: Values) -> Shape | None:
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
    """Return the shape of a source by its first row; never `auto`. DataError D350 where none fits the kind."""
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
