"""Rows whose answer no key of a recipe can name, as rows of which it can: the layouts in their order, applied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from engine.data.examples.turns import ROLES
from engine.drafting import label_columns, marks, talks
from engine.drafting.label_columns import Names, named_labels
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
    for module in (label_columns, marks, talks)
    for name, step in {**vars(module), **module.TESTS}.items()
}
"""What the table of layouts names."""


def reshaped(rows: Sequence[Row], names: Names | None = None) -> tuple[list[Row], list[str]]:
    """Return the rows in a form that a recipe can name, and what was done to them; nothing where nothing had to be.

    `names` are those of the numbers of labels, where a file beside the rows says them. RecipeError R030 for more
    columns than are compared.
    """
    if (count := len(columns_of(rows))) > MOST_COLUMNS:
        raise RecipeError.one(
            "R030",
            f"its rows have {count:,} columns, and a draft looks at {MOST_COLUMNS:,} at most",
            hint="keep the columns that matter, or start from a shipped recipe: recipe init",
        )
    found, whys = list(rows), []
    if together := _gathered(found):
        found, whys = together[0], [together[1]]
    # By all rows: the first ones may be of one split.
    if step := label_columns.splits(found):
        found = [new for row in found for new in turned(step[0], row) or ()]
        whys.append(step[1])
    # A layout may uncover another: a list in a text may hold the words of a tagged sentence.
    for _ in range(5):
        step = next(_recognised(found[:LOOKED_AT], names), None)
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


def _recognised(sample: Sequence[Row], names: Names | None) -> Iterator[tuple[Any, str]]:
    """Yield what the layouts that fit make of the rows, in their order."""
    if names and (found := named_labels(sample, names)):
        yield found
    for layout in TABLE["rows"] if sample else ():
        with suppress(*ODD):
            if found := recognise(layout, sample, STEPS):
                yield found


def _gathered(rows: Sequence[Row]) -> tuple[list[Row], str] | None:
    """Gather a table of a word and its tag a row, or of a turn a row, by the column that says which belong together."""
    sample = rows[:LOOKED_AT]
    names = columns_of(sample)
    tags = next((n for n in names if are_tags([str(row.get(n, "")) for row in sample])), "")
    words = next((n for n in names if n != tags and re.search(r"(?i)word|token|text", n)), "")
    others = [name for name in names if name not in (tags, words)]
    sentence = next((n for n in others if re.search(r"(?i)sent|doc|id$", n)), "")
    if tags and words and sentence and all(isinstance(row.get(words), str) for row in sample):
        found: list[Row] = []
        for group in _groups(rows, sentence):
            pairs = [(row[words], str(row.get(tags))) for row in group if row.get(words)]
            if pairs := [pair for pair in pairs if PATTERNS["tag"].match(pair[1])]:
                found.append({**text_of_words(*zip(*pairs, strict=True)), **_split(group)})
        return found, f"each row is a word; `{sentence}` says of which sentence"
    talk = next((name for name in names if PATTERNS["talk"].search(name)), "")
    role, text = (
        next((name for name in names if name.lower() in WORDS[what]), "")
        for what in ("speakers", "sayings")
    )
    groups = list(_groups(rows, talk)) if talk and role and text else []
    # Who speaks first asks, where two speak who are called otherwise.
    speakers = [list(dict.fromkeys(str(t.get(role)).lower() for t in group)) for group in groups]
    known = {name for some in speakers for name in some}
    is_named = known <= ROLES.keys() and {ROLES[one] for one in known} >= {"user", "assistant"}
    is_alternate = known.isdisjoint(ROLES) and all(len(some) <= 2 for some in speakers)
    if len(groups) in (0, len(rows)) or not (is_named or is_alternate):
        return None
    found = []
    for group, (first, *_) in zip(groups, speakers, strict=True):
        called = ROLES if is_named else {first: "user"}
        messages = [
            {"role": called.get(str(turn[role]).lower(), "assistant"), "content": turn[text]}
            for turn in group
        ]
        while is_alternate and messages and messages[-1]["role"] == "user":
            messages.pop()
        found += [{"messages": messages, **_split(group)}] if messages else []
    return found, f"each row is a turn; `{talk}` says of which conversation"


def _groups(rows: Sequence[Row], column: str) -> Iterable[list[Row]]:
    """Return the rows of each value of a column, which may name only the first row of each."""
    found: dict[tuple[object, str], list[Row]] = {}
    at = ""
    for row in rows:
        at = str(row[column]) if row.get(column) not in (None, "") else at
        found.setdefault((row.get(SPLIT), at), []).append(row)
    return found.values()


def _split(group: Sequence[Row]) -> Row:
    return {SPLIT: group[0][SPLIT]} if SPLIT in group[0] else {}
