"""Markers of chat templates in the text of a row, found without a tokenizer.

A marker in a user's text becomes a real turn boundary when it is tokenised: the row can then end
its own turn and speak as the system. Which markers count depends on the model; these are those of
the common templates. The rendering checks again with the tokenizer of the recipe's own model.
"""

from __future__ import annotations

import re
from typing import Final

from engine.data.checks.rows.base import RowCheck
from engine.data.reading.row import excerpt

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


class TemplateTokensCheck(RowCheck):
    """Finds markers of the common chat templates."""

    name = "template_tokens"
    finding = ("holds tokens of a chat template", "hold tokens of a chat template")

    def fault(self, text: str) -> str | None:
        """Return the first marker of a text, or None."""
        marker = first_marker(text)
        return None if marker is None else f"holds the chat template's `{excerpt(marker)}`"


def first_marker(text: str) -> str | None:
    """Return the first marker in a text; `<s>` and `</s>` that pair up are HTML and none."""
    if not any(hint in text for hint in HINTS):
        return None
    # up to the last `</s>` only: behind it each `<s>` would be looked for to the end of the text
    struck, close, rest = text.rpartition("</s>")
    text = STRUCK.sub(" ", struck + close) + rest
    found = MARKER.search(text)
    return found.group().strip() if found else None
