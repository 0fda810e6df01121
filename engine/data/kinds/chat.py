"""Conversations: every turn of the assistant is learned, tool calls included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.data.examples import dialogue
from engine.data.examples.turns import Turn, lacks_text, split_answer, turn_text
from engine.data.kinds.base import Fill, Filled, Values, malformed
from engine.recipe.model import Data, Task

_Read = Callable[[Values], tuple[list[Turn], list[dict[str, Any]]]]


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what reads the turns and the tools; a chat ends with a turn of the assistant."""
    del task
    read = _reader(data, shape)

    def fill(values: Values) -> Filled:
        turns, tools = read(values)
        asked, (answer,) = split_answer(turns)
        if not any(turn["role"] == "assistant" and turn.get("trained", True) for turn in turns):
            raise malformed("has no turn of the assistant that is learned from")
        lacks = lacks_text(turns)
        return dialogue.filled_turns(
            asked, turn_text(answer), {"messages": turns}, tools=tools, lacks=lacks
        )

    return fill


def _reader(data: Data, shape: str) -> _Read:
    spec = data.messages
    if shape in ("openai_messages", "sharegpt"):
        return lambda values: (dialogue.listed_turns(values), dialogue.shaped_tools(values))
    if shape != "columns":
        return lambda values: (dialogue.shaped_turns(values, shape), dialogue.shaped_tools(values))
    if spec is None:
        raise ValueError("a chat from columns without data.messages")
    return lambda values: (dialogue.named_turns(values, spec), dialogue.named_tools(values, spec))
