"""What a draft asks of the model, how long its rows may be, and what is good enough: all guessed from the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.drafting.guess import Guess
from engine.drafting.plan import DraftPlan, labels
from engine.drafting.sizes import BYTES_A_TOKEN, max_length_for, reachable, threshold_for
from engine.kinds import KINDS, AnswerForm

MOST_ASKED: Final = 4500
"""Bytes of all labels up to which every prompt lists them: beyond, they leave the text no room."""
MANY_ASKED: Final = 400
"""Bytes of all labels from which they are most of a prompt."""


def instruction(plan: DraftPlan) -> str:
    """Return what stands before each text; empty where the rows say it themselves."""
    draft = KINDS[plan.guess.kind].draft
    is_listed = listed_bytes(plan) <= MOST_ASKED
    # Not `format`: `{labels}` stays for each prompt to fill in.
    return (draft.instruction if is_listed else draft.short_instruction).replace(
        "{word}", _word(plan)
    )


def why_instruction(plan: DraftPlan) -> str:
    """Return what is to be known of the instruction."""
    size = listed_bytes(plan)
    if size > MOST_ASKED:
        return f"listing {len(labels(plan))} labels would leave the text no room"
    if size > MANY_ASKED:
        tokens = round(size / BYTES_A_TOKEN, -2)
        return f"lists all {len(labels(plan))}: about {tokens:.0f} tokens a row"
    return "what the model is asked"


def listed_bytes(plan: DraftPlan) -> int:
    """Bytes of all labels in a prompt; 0 for a task without."""
    return _bytes(", ".join(labels(plan))) if KINDS[plan.guess.kind].has_labels else 0


def max_length(plan: DraftPlan) -> tuple[int, bool]:
    """Return the tokens that the longest row needs, and whether that is enough."""
    return max_length_for(plan.longest + _asked(plan))


def metrics(plan: DraftPlan) -> str:
    """Return the bounds that a model must keep, as they stand in braces; empty for none."""
    kind = KINDS[plan.guess.kind]
    if not kind.draft.metric:
        return ""
    threshold = threshold_for(kind, len(labels(plan)) if kind.has_labels else 0)
    if kind.by_likelihood:
        return f"{{{kind.draft.metric}: {{max: {threshold:g}}}}}"
    found = f"{kind.draft.metric}: {{min: {threshold:.2f}}}"
    if kind.answer is AnswerForm.LABEL:
        rows = plan.profile.by_split.get("holdout", plan.sizes.holdout)
        found += f", valid_output: {{min: {reachable(0.95, rows):.2f}}}"
    return f"{{{found}}}"


def _word(plan: DraftPlan) -> str:
    last = plan.guess.label.rsplit(".", 1)[-1]
    return last.replace("_", " ") if re.fullmatch(r"[A-Za-z_ ]{2,30}", last) else "label"


def _asked(plan: DraftPlan) -> int:
    """Bytes of the instruction, as it is filled in."""
    asked = instruction(plan)
    return _bytes(asked) + (listed_bytes(plan) if "{labels}" in asked else 0)


def longest_row(guess: Guess, rows: Iterable[Mapping[str, Any]]) -> int:
    """Bytes of the longest row that the model will see, without what is asked."""
    return max((_row_bytes(guess, row) for row in rows), default=0)


def _row_bytes(guess: Guess, row: Mapping[str, Any]) -> int:
    if guess.shape or KINDS[guess.kind].answer is AnswerForm.OBJECT:
        return _bytes(str(row))
    return sum(_bytes(str(found_at(row, name) or "")) for name in (guess.text, guess.label) if name)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
