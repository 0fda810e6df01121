"""Reported before training: a chat template, or a Modelfile made of it, that could never ask as training does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import Problem, StageError
from engine.exporters.go_template import render
from engine.exporters.ollama import go_template

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

CLOSED = re.compile(r"<(\w+)>\s*</\1>|\[(\w+)\]\s*\[/\2\]")
"""A block with nothing in it, such as `<think></think>`."""
ROLES = ("system", "user", "assistant")
Turns = Sequence[Mapping[str, Any]]


def opening_problem(chat: Chat) -> Problem | None:
    """Return X671 for a template whose generation prompt is no beginning of an answer."""
    asked = [{"role": "user", "content": "text"}]
    prompt, written = chat.prompt(asked), chat.before_answer(asked)
    shared = prompt.rstrip()
    between = written.removeprefix(shared) if written.startswith(shared) else ""
    # Qwen3 writes an empty `<think>` block before a past answer and none where one is asked for:
    # training leaves it out, too
    missing = CLOSED.sub("", between).strip()
    edit = "in chat_template.jinja of the base model"
    if tag := chat.left_open():
        what = f"opens every answer with `{tag}`, which the answers of the data do not close"
        hint = f"take `{tag}` out of the generation prompt {edit}, or use a base model without it"
    elif missing:
        what = f"writes {missing!r} before an answer, and leaves it out where one is asked for"
        text = repr(between.removeprefix(prompt.removeprefix(shared)))
        hint = (
            f"add `{{% if add_generation_prompt %}}{{{{ {text} }}}}{{% endif %}}` at the end {edit}"
        )
    else:
        return None
    return Problem(code="X671", message=f"the chat template {what}", path="base_model", hint=hint)


def modelfile_problems(chat: Chat, rows: Iterable[tuple[str, Turns]]) -> Iterator[Problem]:
    """Yield X651 or X672 where Ollama would ask otherwise than training; `rows` are places and turns."""
    try:
        template = go_template(chat)
    except StageError as error:
        yield from error.problems
        return
    asked = [(place, turns) for place, turns in rows if is_plain(turns) and _is_taken(chat, turns)]
    other = [place for place, turns in asked if render(template, turns) != chat.prompt(turns)]
    if other:
        yield Problem(
            code="X672",
            message=f"a Modelfile would ask {len(other)} of {len(asked)} rows in other words than the chat"
            f" template does, first {other[0]}",
            path="export.formats",
            hint="leave `ollama` out of `export.formats`, or take white space off both ends of the texts:"
            " the chat template does, and a Modelfile cannot",
        )


def _is_taken(chat: Chat, turns: Turns) -> bool:
    """Tell whether the chat template takes the turns; rendering names the row where it does not."""
    try:
        chat.prompt(turns)
    except StageError:
        return False
    return True


def is_plain(turns: Turns) -> bool:
    """Tell whether turns are texts of roles that a Modelfile has a form for."""
    return all(
        turn["role"] in ROLES
        and isinstance(turn.get("content"), str)
        and not turn.get("tool_calls")
        for turn in turns
    )
