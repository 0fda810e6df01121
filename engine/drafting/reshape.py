"""Rows whose answer no key of a recipe can name, as rows of which it can: the layouts in their order, applied."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice, product
from typing import Any, Final

from engine.data.examples.turns import ROLES
from engine.drafting import label_columns, marks, talks
from engine.drafting.label_columns import Names, named_labels
from engine.drafting.layout_table import (
    LOOKED_AT,
    NEARLY,
    ODD,
    PATTERNS,
    SPLIT,
    TABLE,
    WORDS,
    Columns,
    Recognised,
    Row,
    Rows,
    columns_of,
    lower,
    splits,
    turned,
)
from engine.drafting.marks import are_tags, text_of_words
from engine.errors import RecipeError

MOST_COLUMNS: Final = 1000
"""Columns of rows: each is compared with each other one."""
TESTS: Final[Mapping[str, Callable[[Sequence[Any]], bool]]] = {
    "": lambda _: True,
    "texts": lambda values: all(isinstance(value, str) for value in values),
    "lists": lambda values: all(isinstance(value, list) for value in values),
    "objects": lambda values: all(isinstance(value, Mapping) for value in values),
    "several": lambda values: all(isinstance(value, list | Mapping) for value in values),
    "lists or choices": lambda values: all(
        isinstance(one, list) or one in (0, 1) for one in values
    ),
    "names of sides": lambda values: all(PATTERNS["side"].fullmatch(lower(one)) for one in values),
    "some texts": lambda values: any(isinstance(value, str) for value in values),
    "some marked": lambda values: any(one and isinstance(one, list | Mapping) for one in values),
}
"""Of the values of a column; the modules of layouts have more."""
STEPS: Final[Mapping[str, Callable[..., Any]]] = {
    name: step
    for table in (vars(label_columns), vars(marks), vars(talks), marks.TESTS, talks.TESTS, TESTS)
    for name, step in table.items()
}
"""What the table of layouts names."""


def reshaped(rows: Sequence[Row], names: Names | None = None) -> tuple[list[Row], list[str]]:
    """Return the rows in a form that a recipe can name, and what was done to them; nothing where nothing had to be.

    `names` are those of the numbers of labels, where a file beside the rows says them. RecipeError R030 for more
    columns than are compared, and for rows of which no recipe can be made.
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
    if step := splits(found):
        found = [new for row in found for new in turned(step[0], row) or ()]
        whys.append(step[1])
    # A layout may uncover another: a list in a text may hold the words of a tagged sentence.
    for _ in range(5):
        step = _recognised(found[:LOOKED_AT], names)
        if step is None:
            break
        made = [turned(step[0], row) for row in found]
        odd, none = sum(new is None for new in made), sum(new == [] for new in made)
        found = [new for some in made for new in some or ()]
        why = step[1]
        if none:
            why += f"; {none:,} of {len(made):,} rows hold no usable answer and are left out"
        whys.append(f"{why}; {odd:,} that are laid out otherwise are left out" if odd else why)
    return found, whys


def _recognised(sample: Rows, names: Names | None) -> Recognised:
    """Return what the first layout that fits makes of the rows, and why; None where none does."""
    found = named_labels(sample, names) if names else None
    for layout in TABLE["rows"] if sample else ():
        with suppress(*ODD):
            found = found or _fitted(layout, sample)
    return found


def _fitted(layout: Mapping[str, Any], rows: Rows) -> Recognised:
    """Return what makes rows of a layout plain, and why; None where the rows are of another one.

    RecipeError R030 where the layout is one of which no recipe can be made.
    """
    names, needs = columns_of(rows), layout.get("needs", {})
    columns = [_columns(need, rows, names) for need in needs.values()]
    for chosen in islice(product(*columns), 2_000):
        at: dict[str, Any] = dict(zip(needs, chosen, strict=True))
        filled = [name for name in chosen if name]
        others = {name.lower() for name in names if name not in filled}
        if len(set(filled)) < len(filled) or not others.isdisjoint(layout.get("unless", ())):
            continue
        more = STEPS[layout["fits"]](rows, at) if "fits" in layout else True
        at |= more if isinstance(more, Mapping) else {}
        if more and "refuse" in layout:
            raise RecipeError.one("R030", layout["refuse"].format(**at), hint=layout["hint"])

        def turn(row: Row, at: Columns = at) -> Iterable[dict[str, Any]]:
            made: Iterable[dict[str, Any]] = STEPS[layout["make"]](row, at)
            return made

        most_odd = int(len(rows) - layout.get("share", NEARLY) * len(rows))
        odd = (row for row in rows if not turned(turn, row))
        if more and len(list(islice(odd, most_odd + 1))) <= most_odd:
            return turn, layout["why"].format(**at)
    return None


def _columns(need: Mapping[str, Any], rows: Rows, names: Sequence[str]) -> list[str]:
    """Return the columns that may have a role, as the table orders them; an empty name where it may have none."""
    known = WORDS[need["names"]] if isinstance(need.get("names"), str) else need.get("names", ())
    test = STEPS[need.get("test", "")]
    found = [
        name
        for name in names
        if (not known or name.lower() in known)
        and re.fullmatch(need.get("like", ".*"), name, re.DOTALL)
        and test([row.get(name) for row in rows])
    ]
    if known:
        found.sort(key=lambda name: known.index(name.lower()))
    return found or ([""] if need.get("optional") else [])


def _gathered(rows: Rows) -> tuple[list[Row], str] | None:
    """Gather a table of a word and its tag a row, or of a turn a row, by the column that says which belong together."""
    sample = rows[:LOOKED_AT]
    names = columns_of(sample)

    def first(pattern: str, *others: str) -> str:
        return next((n for n in names if n not in others and re.search(pattern, n)), "")

    tags = next((n for n in names if are_tags([str(row.get(n, "")) for row in sample])), "")
    words = first(r"(?i)word|token|text", tags)
    sentence = first(r"(?i)sent|doc|id$", tags, words)
    if tags and words and sentence and all(isinstance(row.get(words), str) for row in sample):
        found: list[Row] = []
        for split, group in _groups(rows, sentence):
            pairs = [(row[words], str(row.get(tags))) for row in group if row.get(words)]
            if pairs := [pair for pair in pairs if PATTERNS["tag"].match(pair[1])]:
                found.append({**text_of_words(*zip(*pairs, strict=True)), **split})
        return found, f"each row is a word; `{sentence}` says of which sentence"
    talk = first(PATTERNS["talk"].pattern)
    role, text = (
        next((name for name in names if name.lower() in WORDS[what]), "")
        for what in ("speakers", "sayings")
    )
    groups = _groups(rows, talk) if talk and role and text else []
    speakers = [list(dict.fromkeys(lower(turn.get(role)) for turn in some)) for _, some in groups]
    known = {name for some in speakers for name in some}
    is_named = known <= ROLES.keys() and {ROLES[one] for one in known} >= {"user", "assistant"}
    # Who speaks first asks, where two speak who are called otherwise.
    is_alternate = known.isdisjoint(ROLES) and all(len(some) <= 2 for some in speakers)
    if len(groups) in (0, len(rows)) or not (is_named or is_alternate):
        return None
    found = []
    for (split, group), (asks, *_) in zip(groups, speakers, strict=True):
        called = ROLES if is_named else {asks: "user"}
        messages = [
            {"role": called.get(lower(turn[role]), "assistant"), "content": turn[text]}
            for turn in group
        ]
        while is_alternate and messages and messages[-1]["role"] == "user":
            messages.pop()
        found += [{"messages": messages, **split}] if messages else []
    return found, f"each row is a turn; `{talk}` says of which conversation"


def _groups(rows: Rows, column: str) -> list[tuple[Row, list[Row]]]:
    """Return the split and the rows of each value of a column, which may name only the first row of each."""
    found: dict[tuple[object, str], list[Row]] = {}
    at = ""
    for row in rows:
        at = str(row[column]) if row.get(column) not in (None, "") else at
        found.setdefault((row.get(SPLIT), at), []).append(row)
    return [({SPLIT: s} if s is not None else {}, some) for (s, _), some in found.items()]
