"""An example as the model sees it: turns, and which of them are learned from. One way for every kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.kinds import Turns
from engine.recipe.model import Task
from engine.recipe.prompt import answer_text, messages, question
from engine.values import Value

Message = dict[str, Any]
"""`role` and `content`; `tool_calls`, `tool_call_id` and `name` where there are any."""


class Conversation(Value):
    """The turns of an example, as a chat template takes them."""

    messages: tuple[Message, ...]
    """Question and answer; for preference the prompt and the chosen answer; empty for text."""
    trained: tuple[int, ...]
    """Positions in `messages` of the assistant's turns that are learned from, rising."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Definitions of the tools that may be called."""
    rejected: tuple[Message, ...] = ()
    """Preference pairs: the other answer to the same prompt."""
    desirable: bool = True
    """False for an answer that got a thumb down (KTO): training makes it less likely."""

    @property
    def asked(self) -> tuple[Message, ...]:
        """The turns before the last one that is learned from."""
        return self.messages[: self.trained[-1]] if self.trained else self.messages


def conversation(
    task: Task,
    *,
    input: str,  # noqa: A002 - the field of an example is called so
    target: str,
    payload: Mapping[str, Any],
) -> Conversation:
    """Return the turns of an example, given its fields of the same names.

    For text there are no turns: the document, `input`, is learned whole. A chat without a system
    message gets the task's. The turns are new dictionaries with keys of the chat template only.
    """
    match task.spec.turns:
        case Turns.DOCUMENT:
            return Conversation(messages=(), trained=())
        case Turns.CHAT:
            turns = _turns(task, payload["messages"])
            # The task's system message, where the row has none, moves every position by one.
            added = len(turns) - len(payload["messages"])
            trained = tuple(
                position
                for position, turn in enumerate(payload["messages"], start=added)
                if turn["role"] == "assistant" and turn.get("trained", True)
            )
            return Conversation(messages=tuple(turns), trained=trained, tools=_tools(payload))
        case Turns.PREFERENCE:
            return _preference(task, payload)
        case Turns.QUESTION:
            asked = _asked(task, input, payload)
            answer = {"role": "assistant", "content": answer_text(task, target)}
            return Conversation(messages=(*asked, answer), trained=(len(asked),))


def _asked(task: Task, text: str, payload: Mapping[str, Any]) -> list[Message]:
    """Return the question: around `text`, or the row's own turns, its last one being the question."""
    own = payload.get("messages")
    if not own:
        return [*messages(task, text)]
    *before, last = _turns(task, own)
    return [*before, {**last, "content": question(task, last["content"])}]


def _preference(task: Task, payload: Mapping[str, Any]) -> Conversation:
    prompt = _turns(task, payload["messages"])
    # A row of DPO has two answers; one of KTO has a single answer and says whether it is desirable.
    is_pair = "chosen" in payload
    answer = _plain(payload["chosen"] if is_pair else payload["answer"])
    turns = enumerate(answer, start=len(prompt))
    trained = (position for position, turn in turns if turn["role"] == "assistant")
    return Conversation(
        messages=(*prompt, *answer),
        trained=tuple(trained),
        tools=_tools(payload),
        rejected=tuple(_plain(payload["rejected"])) if is_pair else (),
        desirable=is_pair or bool(payload["desirable"]),
    )


def _turns(task: Task, own: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Return the row's turns, the task's system message before them when they have none."""
    has_system = any(turn["role"] == "system" for turn in own)
    system = [{"role": "system", "content": task.system}] if task.system and not has_system else []
    return [*system, *_plain(own)]


def _plain(turns: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Return the turns without what only says whether they are learned from."""
    return [{key: value for key, value in turn.items() if key != "trained"} for turn in turns]


def _tools(payload: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(payload.get("tools", ()))
