"""Markers of chat templates in the text of a row, found without a tokenizer.

A marker in a user's text becomes a real turn boundary when it is tokenised: the row can then end
its own turn and speak as the system. Which markers count depends on the model; these are those of
the common templates. The rendering checks again with the tokenizer of the recipe's own model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.data.checks.rows.texts import rows_that, texts
from engine.data.kinds.base import Filled
from engine.data.reading.row import excerpt
from engine.recipe.model import CheckAction

HINTS: Final = ("<", "\uff1c", "[")
"""A text without any of them holds no marker."""
MARKER: Final = re.compile(
    # The full-width bar and U+2581 are those of DeepSeek's tokens.
    r"[<\uff1c][|\uff5c]\w[\w \u2581]{0,40}(?<! )[|\uff5c][>\uff1e]"  # <|im_end|> and look-alikes
    r"|<(?:start_of_turn|end_of_turn|start_of_role|end_of_role|bos|eos|extra_id_\d+)>"
    r"|<</?SYS>>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|\A\s*<s>|</s>\s*\Z"
)
STRUCK: Final = re.compile(r"<s>.*?</s>", re.DOTALL)
"""Struck-through HTML: opened and closed in the text."""


@dataclass(frozen=True, slots=True)
class TemplateTokensCheck:
    """Finds markers of the common chat templates."""

    action: CheckAction
    name: str = "template_tokens"

    def look(self, filled: Filled) -> str | None:
        """Return the first marker of the row, or None."""
        for text in texts(filled):
            marker = first_marker(text)
            if marker is not None:
                return f"holds the chat template's `{excerpt(marker)}`"
        return None

    def message(self, count: int) -> str:
        """Return the finding's sentence."""
        what = "tokens of a chat template"
        return rows_that(count, f"holds {what}", f"hold {what}")


def first_marker(text: str) -> str | None:
    """Return the first marker in a text; `<s>` and `</s>` that pair up are HTML and none."""
    if not any(hint in text for hint in HINTS):
        return None
    # up to the last `</s>` only: behind it each `<s>` would be looked for to the end of the text
    struck, close, rest = text.rpartition("</s>")
    text = STRUCK.sub(" ", struck + close) + rest
    found = MARKER.search(text)
    return found.group().strip() if found else None
