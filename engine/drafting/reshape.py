"""Rows whose answer no key of a recipe can name, as rows of which it can: the layouts in their order, applied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from engine.data.examples.turns import ROLES
from engine.drafting import exports, label_columns, marks, talks
from engine.drafting.label_names import Names, named_labels
from engine.drafting.layout_table import (
    LOOKED_AT,
    ODD,
    PATTERNS,
    SPLIT,
    TABLE,
    WORDS,
    Row,
    columns_of,
    recognise,
    turned,
)
from engine.drafting.marks import are_tags, text_of_words
from engine.errors import RecipeError

MOST_COLUMNS: Final = 1000
"""Columns of rows: each is compared with each other one."""
STEPS: Final[Mapping[str, Callable[..., Any]]] = {
    name: step
    for module in (exports, label_columns, marks, talks)
    for name, step in {**vars(module), **module.TESTS}.items()
}
"""What the table of layouts names."""


def reshaped(
    rows: Sequence[Row], names: Names | None = None, *, keep_names: bool = False
) -> tuple[list[Row], list[str]]:
    """Return the rows in a form that a recipe can name, and what was done to them; nothing where nothing had to be.

    `names` are those of the numbers of labels, where a file beside the rows says them. `keep_names` leaves columns
    that no template can name as they are called. RecipeError R030 for more columns than are compared.
    """
    if (count := len(columns_of(rows))) > MOST_COLUMNS:
        raise RecipeError.one(
            "R030",
            f"its rows have {count:,} columns, and a draft looks at {MOST_COLUMNS:,} at most",
            hint="keep the columns that matter, or start from a shipped recipe: recipe init",
        )
    found, whys = list(rows), []
    if together := gathered_words(found) or gathered_turns(found):
        found, whys = together[0], [together[1]]
    # By all rows: the first ones may be of one split.
    if step := label_columns.splits(found):
        found = [new for row in found for new in turned(step[0], row) or ()]
        whys.append(step[1])
    # A layout may uncover another: a list in a text may hold the words of a tagged sentence.
    for _ in range(5):
        step = next(_recognised(found[:LOOKED_AT], names, keep_names=keep_names), None)
        if step is None:
            break
        made = [turned(step[0], row) for row in found]
        odd, none = sum(new is None for new in made), sum(new == [] for new in made)
        found = [new for some in made for new in some or ()]
        why = step[1]
        if none:
            why += (
                f"; {none:,} of {len(made):,} rows hold no answer that can be used and are left out"
            )
        whys.append(f"{why}; {odd:,} that are laid out otherwise are left out" if odd else why)
    return found, whys


def _recognised(
    sample: Sequence[Row], names: Names | None, *, keep_names: bool
) -> Iterator[tuple[Any, str]]:
    """Yield what the layouts that fit make of the rows, in their order."""
    if names and (found := named_labels(sample, names)):
        yield found
    for layout in TABLE["rows"] if sample else ():
        if keep_names and layout.get("layout") == "odd_names":
            continue
        with suppress(*ODD):
            if found := recognise(layout, sample, STEPS):
                yield found


def gathered_words(rows: Sequence[Row]) -> tuple[list[Row], str] | None:
    """Gather a table of a word and its tag a row, where another column says which sentence it is of."""
    sample = rows[:LOOKED_AT]
    names = columns_of(sample)
    tags = next((n for n in names if are_tags([str(row.get(n, "")) for row in sample])), None)
    words = next((n for n in names if n != tags and re.search(r"(?i)word|token|text", n)), None)
    others = [name for name in names if name not in (tags, words)]
    sentence = next((n for n in others if re.search(r"(?i)sent|doc|id$", n)), None)
    if tags is None or words is None or sentence is None:
        return None
    if not all(isinstance(row.get(words), str) for row in sample):
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
        if row.get(words) and PATTERNS["tag"].match(str(row.get(tags))):
            gathered.append((str(row[words]), str(row[tags])))
    return found, f"each row is a word; `{sentence}` says of which sentence"


def gathered_turns(rows: Sequence[Row]) -> tuple[list[Row], str] | None:
    """Gather a table of a turn a row, where another column says which conversation it is of."""
    sample = rows[:LOOKED_AT]
    names = columns_of(sample)
    talk = next((name for name in names if PATTERNS["talk"].search(name)), None)
    role = next((name for name in names if name.lower() in WORDS["speakers"]), None)
    text = next((name for name in names if name.lower() in WORDS["sayings"]), None)
    if talk is None or role is None or text is None:
        return None
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row.get(talk)), []).append(row)
    known = {str(row.get(role)).lower() for row in sample}
    is_named = known <= ROLES.keys() and {ROLES[one] for one in known} >= {"user", "assistant"}
    is_alternate = known.isdisjoint(ROLES) and all(
        len({str(turn.get(role)) for turn in turns}) <= 2 for turns in found.values()
    )
    if len(found) == len(rows) or not (is_named or is_alternate):
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
        if messages:
            kept = {SPLIT: turns[0][SPLIT]} if SPLIT in turns[0] else {}
            gathered.append({"messages": messages, **kept})
    return gathered, f"each row is a turn; `{talk}` says of which conversation"
