"""Rows whose answer no key of a recipe can name, as rows of which it can: the layouts in their order, applied."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice, product
from typing import Any, Final

from engine.data.examples.turns import ROLES
from engine.data.splitting.column import PLACES
from engine.drafting import layout_steps
from engine.drafting.label_numbers import Names, named_labels
from engine.drafting.layout_steps import FLAGS, SET, TESTS, are_tags, text_of_words
from engine.drafting.layout_table import (
    LOOKED_AT,
    NEARLY,
    PATTERNS,
    SPLIT,
    TABLE,
    WORDS,
    Recognised,
    Row,
    Rows,
    Turned,
    columns_of,
    lower,
    without,
)
from engine.errors import RecipeError

MOST_COLUMNS: Final = 1000
"""Columns of rows: each is compared with each other one."""
ODD: Final = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What is raised where a row is laid out otherwise than those by which its layout was recognised."""


def plain_rows(rows: Sequence[Row], names: Names | None = None) -> tuple[list[Row], list[str]]:
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
    if together := _sentences(found) or _talks(found):
        found, whys = together[0], [together[1]]
    # By all rows: the first ones may be of one split.
    if step := splits(found):
        found = [new for row in found for new in _turned(step[0], row) or ()]
        whys.append(step[1])
    # A layout may uncover another: a list in a text may hold the words of a tagged sentence.
    for _ in range(10):
        step = _recognised(found[:LOOKED_AT], names)
        if step is None:
            break
        made = [_turned(step[0], row) for row in found]
        odd, none = sum(new is None for new in made), sum(new == [] for new in made)
        found = [new for some in made for new in some or ()]
        why = step[1]
        if none:
            why += f"; {none:,} of {len(made):,} rows hold no usable answer and are left out"
        whys.append(f"{why}; {odd:,} that are laid out otherwise are left out" if odd else why)
    return found, whys


def _turned(turn: Turned, row: Row) -> list[dict[str, Any]] | None:
    """Return what becomes of a row; None where it is laid out otherwise."""
    try:
        # The split that its file is of stays, whatever becomes of the other columns.
        kept = {SPLIT: row[SPLIT]} if SPLIT in row else {}
        return [{**kept, **new} for new in turn(row)]
    except ODD:
        return None


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
        others = {name.lower() for name in names if name not in chosen}
        if len(set(chosen)) < len(chosen) or not others.isdisjoint(layout.get("unless", ())):
            continue
        more = getattr(layout_steps, layout["fits"])(rows, at) if "fits" in layout else True
        at |= more if isinstance(more, Mapping) else {}
        if more and "refuse" in layout:
            raise RecipeError.one("R030", layout["refuse"].format(**at), hint=layout["hint"])

        def turn(row: Row, at: Mapping[str, Any] = at) -> Iterable[dict[str, Any]]:
            made: Iterable[dict[str, Any]] = getattr(layout_steps, layout["make"])(row, at)
            return made

        most_odd = int(len(rows) - layout.get("share", NEARLY) * len(rows))
        odd = (row for row in rows if not _turned(turn, row))
        if more and len(list(islice(odd, most_odd + 1))) <= most_odd:
            return turn, layout["why"].format(**at)
    return None


def _columns(need: Mapping[str, Any], rows: Rows, names: Sequence[str]) -> list[str]:
    """Return the columns that may have a role, as the table orders them."""
    known = WORDS[need["names"]] if isinstance(need.get("names"), str) else need.get("names", ())
    word = need.get("test", "")
    test = TESTS[word] if word in TESTS else getattr(layout_steps, word)
    found = [
        name
        for name in names
        if (not known or name.lower() in known)
        and re.fullmatch(need.get("like", ".*"), name, re.DOTALL)
        and test([row.get(name) for row in rows])
    ]
    return sorted(found, key=lambda name: known.index(name.lower())) if known else found


def may_say_split(name: str) -> bool:
    return bool(PATTERNS["flag of a split"].match(name) or PATTERNS["column of splits"].match(name))


def splits(rows: Rows) -> Recognised:
    """Recognise a column that says the split in words of its own (`eval`, `tst`), or by yes and no (`is_test`)."""
    known = TABLE["splits"] | TABLE["splits of columns"]
    columns = columns_of(rows)
    for name in filter(may_say_split, [SPLIT] if SPLIT in columns else columns):
        words = {lower(row.get(name)) for row in rows}
        plain = {word: known.get(word, word) for word in words}
        flag = PATTERNS["flag of a split"].match(name)
        if flag and words <= FLAGS:
            is_train = flag[1].lower().startswith("train")
            plain = {word: "train" if (word in SET) == is_train else "test" for word in words}
        places = {PLACES[one].split if one in PLACES else "" for one in plain.values()}
        is_needed = any(word != one for word, one in plain.items())
        if not is_needed or not {"train"} < places or "" in places:
            continue
        if "holdout" not in places:
            # The only split to judge by judges.
            is_judging = {word: PLACES[one].split != "train" for word, one in plain.items()}
            plain = {word: "test" if judges else "train" for word, judges in is_judging.items()}

        def turn(row: Row, name: str = name, plain: Row = plain) -> list[dict[str, Any]]:
            return [{**without(row, name), SPLIT: plain[lower(row.get(name))]}]

        return turn, f"`{name}` says the split in other words"
    return None


def _column_like(pattern: str, rows: Rows, *others: str) -> str:
    names = (name for name in columns_of(rows) if name not in others)
    return next((name for name in names if re.search(pattern, name)), "")


def _sentences(rows: Rows) -> tuple[list[Row], str] | None:
    """Gather a table of a word and its tag a row by the column that says which words belong together."""
    sample = rows[:LOOKED_AT]
    names = columns_of(sample)
    tags = next((n for n in names if are_tags([str(row.get(n, "")) for row in sample])), "")
    words = _column_like(r"(?i)word|token|text", sample, tags)
    sentence = _column_like(r"(?i)sent|doc|id$", sample, tags, words)
    if not (tags and words and sentence) or not TESTS["texts"]([row.get(words) for row in sample]):
        return None
    found: list[Row] = []
    for split, group in _groups(rows, sentence):
        pairs = [(row[words], str(row.get(tags))) for row in group if row.get(words)]
        if pairs := [pair for pair in pairs if PATTERNS["tag"].match(pair[1])]:
            found.append({**text_of_words(*zip(*pairs, strict=True)), **split})
    return found, f"each row is a word; `{sentence}` says of which sentence"


def _talks(rows: Rows) -> tuple[list[Row], str] | None:
    """Gather a table of a turn a row by the column that says of which conversation."""
    names = columns_of(rows)
    talk = _column_like(PATTERNS["talk"].pattern, rows)
    role, text = (
        next((name for name in names if name.lower() in WORDS[what]), "")
        for what in ("speakers", "sayings")
    )
    groups = _groups(rows, talk) if talk and role and text else []
    known = {lower(row.get(role)) for row in rows} if groups else set[str]()
    are_named = known <= ROLES.keys() and {ROLES[one] for one in known} >= {"user", "assistant"}
    if len(groups) in (0, len(rows)) or not are_named:
        return None
    found: list[Row] = [
        {
            "messages": [
                {"role": ROLES[lower(turn[role])], "content": turn[text]} for turn in group
            ],
            **split,
        }
        for split, group in groups
    ]
    return found, f"each row is a turn; `{talk}` says of which conversation"


def _groups(rows: Rows, column: str) -> list[tuple[Row, list[Row]]]:
    """Return the split and the rows of each value of a column, which may name only the first row of each."""
    found: dict[tuple[object, str], list[Row]] = {}
    at = ""
    for row in rows:
        at = str(row[column]) if row.get(column) not in (None, "") else at
        found.setdefault((row.get(SPLIT), at), []).append(row)
    return [({SPLIT: s} if s is not None else {}, some) for (s, _), some in found.items()]
