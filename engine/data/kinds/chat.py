"""Conversations: every turn of the assistant is learned, tool calls included."""

from __future__ import annotations

from typing import Any

from engine.data.examples import chat_formats
from engine.data.examples.template import Fill, Filled, Values, malformed
from engine.data.examples.turns import Turn, lacks_text, split_answer, turn_text
from engine.recipe.model import Data, Task


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what reads the turns and the tools; a chat ends with a turn of the assistant."""
    del task

    def fill(values: Values) -> Filled:
        turns, tools = _read(values, data, shape)
        asked, (answer,) = split_answer(turns)
        if not any(turn["role"] == "assistant" and turn.get("trained", True) for turn in turns):
            raise malformed("has no turn of the assistant that is learned from")
        lacks = lacks_text(turns)
        return chat_formats.filled_turns(
            asked, turn_text(answer), {"messages": turns}, tools=tools, lacks=lacks
        )

    return fill


def _read(values: Values, data: Data, shape: str) -> tuple[list[Turn], list[dict[str, Any]]]:
    if shape != "columns":
        return chat_formats.shaped_turns(values, shape), chat_formats.shaped_tools(values)
    if data.messages is None:
        raise ValueError("a chat from columns without data.messages")
    return chat_formats.named_turns(values, data.messages), chat_formats.named_tools(
        values, data.messages
    )
