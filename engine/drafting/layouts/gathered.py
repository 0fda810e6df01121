"""Rows that belong together: the words of a sentence, the turns of a conversation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from engine.data.examples.turns import ROLES
from engine.drafting.layouts.layout import LOOKED_AT, SPLIT, Row, columns_of
from engine.drafting.layouts.spans import TAGS, are_tags, text_of_words

SPEAKERS: Final = ("role", "speaker", "from", "author", "sender", "speaker_id", "speaker_idx")
TEXTS: Final = ("content", "text", "message", "utterance", "value")
BOTH: Final = ("user", "assistant")
TALK: Final = re.compile(
    r"(?i)(?:conv(?:ersation)?|dialog(?:ue)?|thread|session|chat)(?:[_ ]?id)?$"
)


def gathered_words(rows: Sequence[Row]) -> tuple[list[Row], str] | None:
    """Gather a table of a word and its tag a row, where another column says which sentence it is of."""
    sample = rows[:LOOKED_AT]
    names = columns_of(sample)
    tags = next((n for n in names if are_tags([str(row.get(n, "")) for row in sample])), None)
    words = next((n for n in names if n != tags and re.search(r"(?i)word|token|text", n)), None)
    if tags is None or words is None or not all(isinstance(r.get(words), str) for r in sample):
        return None
    others = [name for name in names if name not in (tags, words)]
    sentence = next((n for n in others if re.search(r"(?i)sent|doc|id$", n)), None)
    if sentence is None:
        return None
    found: list[Row] = []
    at: object = None
    kept: dict[str, Any] = {}
    gathered: list[tuple[str, str]] = []
    for row in [*rows, {sentence: object()}]:
        # Only the first word of a sentence may name it.
        if row.get(sentence) not in (None, "") and row[sentence] != at:
            if gathered:
                found.append({**text_of_words(*zip(*gathered, strict=True)), **kept})
            gathered, at = [], row[sentence]
            kept = {SPLIT: row[SPLIT]} if SPLIT in row else {}
        if row.get(words) and TAGS.match(str(row.get(tags))):
            gathered.append((str(row[words]), str(row[tags])))
    return found, f"each row is a word; `{sentence}` says of which sentence"


def gathered_turns(rows: Sequence[Row]) -> tuple[list[Row], str] | None:
    """Gather a table of a turn a row, where another column says which conversation it is of."""
    sample = rows[:LOOKED_AT]
    names = columns_of(sample)
    talk = next((name for name in names if TALK.search(name)), None)
    role = next((name for name in names if name.lower() in SPEAKERS), None)
    text = next((name for name in names if name.lower() in TEXTS), None)
    if talk is None or role is None or text is None:
        return None
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row.get(talk)), []).append(row)
    if len(found) == len(rows):
        return None
    known = {str(row.get(role)).lower() for row in sample}
    is_named = known <= ROLES.keys() and {ROLES[one] for one in known} >= {"user", "assistant"}
    is_alternate = known.isdisjoint(ROLES) and all(
        len({str(turn.get(role)) for turn in turns}) <= len(BOTH) for turns in found.values()
    )
    if not is_named and not is_alternate:
        return None
    gathered: list[Row] = []
    for turns in found.values():
        # Who speaks first asks.
        both = {str(turns[0].get(role)).lower(): "user"}
        messages = [
            {"role": (ROLES if is_named else both).get(str(t[role]).lower(), "assistant"), "content": t[text]}
            for t in turns
        ]  # fmt: skip
        while is_alternate and messages and messages[-1]["role"] == "user":
            messages.pop()
        if not messages:
            continue
        kept = {SPLIT: turns[0][SPLIT]} if SPLIT in turns[0] else {}
        gathered.append({"messages": messages, **kept})
    return gathered, f"each row is a turn; `{talk}` says of which conversation"
