"""Rows of the usual shapes as turns: what a chat, a question with its answer or a prompt is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.data.examples.chat_formats import ANSWERS, TURNS, Values
from engine.data.examples.template import MissingColumnError, as_text, lookup
from engine.data.examples.turns import ROLES, Turn, read_tools, read_turns, turn_texts, with_system
from engine.data.kinds.base import Filled, malformed
from engine.recipe.model import MessagesSpec


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
    """Return the text of a column, `` for null and NaN."""
    return as_text(lookup(values, column)) or ""


def listed_turns(values: Values) -> list[Turn]:
    """Return the turns of an OpenAI or ShareGPT row, its system column first."""
    turns = read_turns(values[first_column(values, TURNS)])
    return with_system(turns, values.get("system"))


def named_turns(values: Values, spec: MessagesSpec) -> list[Turn]:
    """Return the turns where the recipe says they are."""
    roles = dict(spec.roles) or ROLES
    turns = read_turns(
        lookup(values, spec.column), keys=(spec.role, spec.content), roles={**ROLES, **roles}
    )
    return with_system(turns, lookup(values, spec.system) if spec.system else None)


def named_tools(values: Values, spec: MessagesSpec) -> list[dict[str, Any]]:
    """Return the tool definitions where the recipe says they are."""
    return read_tools(lookup(values, spec.tools)) if spec.tools else []


def shaped_tools(values: Values) -> list[dict[str, Any]]:
    """Return the tool definitions of a row of a known shape: `tools`, or `functions` as before."""
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
    """Return the turns of the column `prompt`: a text, or a list of turns."""
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
    """Return the rounds before, which Alpaca rows hold as pairs of question and answer."""
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
