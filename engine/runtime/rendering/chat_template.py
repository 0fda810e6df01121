"""What a chat template needs before it is trained with: one date, and answers that its opening leaves room for."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from engine.errors import StageError

DATE = datetime(2024, 7, 26, tzinfo=UTC)
"""The day that every template writes, in training, evaluation and every exported form.

Templates that ask for today's (Llama 3.2) would give other prompts on every day. It is the day that
Llama 3.2's own template falls back to where no clock is at hand.
"""
CALL = re.compile(r"""strftime_now\(\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\)""")
IS_DEFINED = re.compile(r"strftime_now\s+is\s+(not\s+)?defined")
CHANGING = re.compile(r"\bstrftime_now\b|\|\s*random\b|\blipsum\b")
"""What makes a template write another text at another time."""
TAG = re.compile(r"[<\[](\w+)[>\]]")
ANY = r"[<\[]/{}[>\]]"


def with_fixed_date(template: str) -> str:
    """Return the template with `DATE` where it asks for today's.

    StageError X670 where what it writes would still change from one time to another.
    """
    # Answered as transformers would, which gives every template this function.
    fixed = IS_DEFINED.sub(lambda match: "false" if match[1] else "true", template)
    fixed = CALL.sub(lambda match: json.dumps(DATE.strftime(match[1] or match[2] or "")), fixed)
    if (found := CHANGING.search(fixed)) is not None:
        raise StageError.one(
            "X670",
            f"the chat template writes another text at another time: it uses `{found[0]}`",
            path="base_model",
            hint="write a fixed text in its place in chat_template.jinja of the base model",
        )
    return fixed


def left_open(opening: str, template: str) -> str:
    """Return the tag, such as `<think>`, that `opening` leaves open and the template can close; or "".

    `opening` is what the template writes to open an answer.
    """
    for name in reversed(TAG.findall(opening)):
        closing = ANY.format(re.escape(name))
        if re.search(closing, template) and not re.search(closing, opening):
            return f"<{name}>"
    return ""
