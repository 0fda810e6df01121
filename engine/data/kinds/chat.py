"""Conversations: every turn of the assistant is learned, tool calls included."""

from engine.data.examples import chat_formats
from engine.data.examples.template import Fill, Filled, Values, lookup, malformed
from engine.data.examples.turns import lacks_text, read_tools, split_answer, turn_text
from engine.recipe.model import Data, Task


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what reads the turns and the tools; a chat ends with a turn of the assistant."""
    del task
    spec = data.messages if shape == "columns" else None
    if shape == "columns" and spec is None:
        raise ValueError("a chat from columns without data.messages")

    def fill(values: Values) -> Filled:
        if spec is None:
            turns = chat_formats.shaped_turns(values, shape)
            tools = chat_formats.shaped_tools(values)
        else:
            turns = chat_formats.named_turns(values, spec)
            tools = read_tools(lookup(values, spec.tools)) if spec.tools else []
        asked, (answer,) = split_answer(turns)
        if not any(turn["role"] == "assistant" and turn.get("trained", True) for turn in turns):
            raise malformed("has no turn of the assistant that is learned from")
        lacks = lacks_text(turns)
        return chat_formats.filled_turns(
            asked, turn_text(answer), {"messages": turns}, tools=tools, lacks=lacks
        )

    return fill
