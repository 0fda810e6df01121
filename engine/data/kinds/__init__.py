"""The kinds of tasks: how a row of a file becomes what is read and what shall be answered.

A kind is a module here with the one function of `Kind`. What `Example.payload` holds:

- classification, text: nothing.
- multilabel: nothing (`labels` says it).
- extraction: `answer`, the JSON object.
- generation: `references`, every right answer, the first one included.
- chat: `messages`, each with `role` and `content` (and `tool_calls`, `tool_call_id`, `name`,
  `trained: false` where an assistant's turn is not learned from); `tools` where there are any.
- preference: `messages` (the prompt), `chosen` and `rejected` (lists of messages). For KTO rows,
  which have one answer and a thumb: `messages`, `answer` (messages) and `desirable`.
"""

from __future__ import annotations

import importlib
from typing import Final, cast

from engine.data.kinds.base import Kind

KINDS: Final[dict[str, str]] = {
    kind: f"engine.data.kinds.{kind}"
    for kind in (
        "classification",
        "multilabel",
        "extraction",
        "generation",
        "chat",
        "text",
        "preference",
    )
}


def load_kind(name: str) -> Kind:
    """Return the module of a task kind."""
    return cast("Kind", importlib.import_module(KINDS[name]))
