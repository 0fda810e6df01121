"""Pairs of a chosen and a rejected answer (DPO), or single answers with a thumb (KTO).

DPO: https://arxiv.org/abs/2305.18290. KTO: https://arxiv.org/abs/2402.01306.
"""

from itertools import takewhile
from typing import Any

from engine.data.examples import chat_formats
from engine.data.examples.chat_formats import THUMBS, TURNS
from engine.data.examples.template import Fill, Filled, Values, lookup, malformed
from engine.data.examples.turns import Turn, lacks_text, read_turns, split_answer, turn_texts
from engine.recipe.model import Data, Task


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what reads a prompt and two answers, or one answer and whether it is wanted."""
    del task
    if shape == "kto":
        return _thumb
    if shape == "dpo":
        return _pair
    pair = data.pair
    if pair is None:
        raise ValueError("a preference from columns without data.pair")

    def fill(values: Values) -> Filled:
        asked = chat_formats.read_asked(lookup(values, pair.prompt))
        chosen, rejected = lookup(values, pair.chosen), lookup(values, pair.rejected)
        return _paired(
            asked, chat_formats.read_answer(chosen), chat_formats.read_answer(rejected), tools=[]
        )

    return fill


def _pair(values: Values) -> Filled:
    if "chosen_messages" in values:
        chosen = read_turns(values["chosen_messages"])
        rejected = read_turns(lookup(values, "rejected_messages"))
    else:
        chosen = chat_formats.read_answer(lookup(values, "chosen"))
        rejected = chat_formats.read_answer(lookup(values, "rejected"))
    return _paired(_prompt(values), chosen, rejected, tools=chat_formats.shaped_tools(values))


def _prompt(values: Values) -> list[Turn]:
    """Return the prompt of a pair; empty where the two answers are whole conversations."""
    if any(column in values for column in TURNS) and isinstance(values.get("chosen"), dict | str):
        return chat_formats.listed_turns(values)
    if "prompt" in values:
        return chat_formats.asked_by_prompt(values)
    if "instruction" in values:
        return chat_formats.asked_by_instruction(values)
    return chat_formats.listed_turns(values) if any(column in values for column in TURNS) else []


def _paired(
    asked: list[Turn], chosen: list[Turn], rejected: list[Turn], *, tools: list[dict[str, Any]]
) -> Filled:
    # Public sets repeat the prompt in both answers; the prompt is what they share.
    # One turn at least must be left of each, even where the answers begin alike.
    most = min(len(chosen), len(rejected)) - 1
    pairs = list(zip(chosen, rejected, strict=False))[: max(most, 0)]
    shared = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    if any(turn["role"] == "user" for turn in shared):
        own = [turn for turn in asked if turn["role"] == "system"]
        asked = shared if shared[0]["role"] == "system" else [*own, *shared]
        chosen, rejected = chosen[len(shared) :], rejected[len(shared) :]
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        if not answer or answer[-1]["role"] != "assistant":
            raise malformed(f"has a {name} answer that does not end with the assistant")
        if answer[0]["role"] != "assistant":
            raise malformed(f"has a {name} conversation with a prompt of its own")
    if not any(turn["role"] == "user" for turn in asked):
        raise malformed("has no turn of the user before the answers")
    if chosen == rejected:
        raise malformed("has the same answer as chosen and as rejected")
    payload = {"messages": asked, "chosen": chosen, "rejected": rejected}
    lacks = lacks_text(asked) or lacks_text(rejected)
    return chat_formats.filled_turns(asked, turn_texts(chosen), payload, tools=tools, lacks=lacks)


def _thumb(values: Values) -> Filled:
    if any(column in values for column in TURNS):
        turns = chat_formats.listed_turns(values)
    else:
        shape = "alpaca" if "instruction" in values else "prompt_completion"
        turns = chat_formats.shaped_turns(values, shape)
    column = chat_formats.first_column(values, THUMBS)
    desirable = values[column]
    # A guess (`1`, `"yes"`) could turn a rejected answer into a wanted one.
    if not isinstance(desirable, bool):
        shown = chat_formats.text_of(values, column)
        raise malformed(f"has a `{column}` that is neither true nor false: `{shown}`")
    asked, answer = split_answer(turns)
    tools = chat_formats.shaped_tools(values)
    payload = {"messages": asked, "answer": answer, "desirable": desirable}
    lacks = lacks_text(asked)
    return chat_formats.filled_turns(asked, turn_texts(answer), payload, tools=tools, lacks=lacks)
