"""Labels in several columns, as numbers, in lists that were written as text, or around other values; and splits."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.data.splitting.column import PLACES
from engine.drafting.layouts.layout import (
    NEARLY,
    Attempt,
    Columns,
    Recognised,
    Role,
    Row,
    RowLayout,
    Rows,
    columns_of,
    objects,
    without,
)
from engine.drafting.roles import LABEL_NAMES, LONGEST_LABEL, rank
from engine.files.reading import parse_json

FLAGS: Final = frozenset({"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "y", "n", "x", ""})
SET: Final = frozenset({"1", "1.0", "true", "yes", "y", "x"})
MOST_FLAGS: Final = 100
NO_LABEL: Final = re.compile(
    r"(?i)(is_?test|split|fold|index|id)$|(is|has|was)[ _]|(label|target|class|category|y|sentiment|gold)$"
)
"""Columns of 0 and 1 that are no label where there are only two such columns."""
NEVER: Final = re.compile(r"(?i)^(is_test|split|fold|index|id|.*[_ ](confidence|count|id))$")
CODED: Final = re.compile(r"(?i)label|tag|class|categor|topic|genre|emotion|intent|cats")
SCORE: Final = re.compile(r"(?i)(?:score|rating|reward|votes?)[ _-]?(a|b|1|2|0)\Z")
ANSWERED: Final = (
    *("label", "labels", "category", "class", "intent", "topic", "sentiment", "emotion", "target"),
    *("answer", "output", "response", "completion", "summary"),
)
MORE: Final = {"start", "end", "offset", "text", "value", "content"}
"""Keys of objects that are more than a name, such as a marked part of a text or a turn."""
SPLIT_NAME: Final = re.compile(
    r"(?i)(?:.*_)?(?:split|set|subset|partition|fold|usage|phase|dataset)\Z"
)
IN_SPLIT: Final = re.compile(
    r"(?i)(?:is|in)_?(test|train(?:ing)?|val(?:id(?:ation)?)?|dev|holdout)\Z"
)
WORDS: Final = {
    **dict.fromkeys(("trn", "tr", "fit", "trainset", "train_set"), "train"),
    **dict.fromkeys(("validate", "eval", "evaluation", "devel", "tune"), "validation"),
    **dict.fromkeys(("testing", "tst", "te", "testset", "test_set", "private", "public"), "test"),
}
"""Words for a split that no recipe reads, with one that it does."""


def may_say_split(name: str) -> bool:
    """Whether a column is called as one of splits is."""
    return bool(IN_SPLIT.match(name) or SPLIT_NAME.match(name))


def splits(rows: Rows) -> Recognised:
    """A column that says the split in words of its own (`eval`, `tst`), or by yes and no (`is_test`)."""
    for name in filter(may_say_split, columns_of(rows)):
        words = {str(row.get(name)).strip().lower() for row in rows}
        if found := IN_SPLIT.match(name):
            if words & SET and words - SET and words <= FLAGS:
                sides = ("test", "train")
                yes, no = reversed(sides) if found[1].lower().startswith("train") else sides
                plain = {word: yes if word in SET else no for word in words}
                return _renamed(name, "split", plain), f"`{name}` says which rows judge"
            continue
        if not words <= PLACES.keys() | WORDS.keys():
            continue
        plain = {word: WORDS.get(word, word) for word in words}
        places = {PLACES[one].split for one in plain.values()}
        if "train" not in places or len(places) < 2:
            continue
        if "holdout" not in places:
            # The only split to judge by judges.
            plain = {
                word: "train" if PLACES[one].split == "train" else "test"
                for word, one in plain.items()
            }
        if any(word != one for word, one in plain.items()):
            return _renamed(name, name, plain), f"`{name}` says the split in other words"
    return None


def _renamed(name: str, new: str, plain: Mapping[str, str]) -> Callable[[Row], list[Any]]:
    return lambda row: [
        {
            **(row if new == name else without(row, name)),
            new: plain[str(row.get(name)).strip().lower()],
        }
    ]


def plain_name(name: str) -> str:
    """Return the name of a column as a template can name it."""
    plain = " ".join(re.sub(r"[{}]", "", name).split())
    # A dot divides a path, and no part of it is empty.
    plain = plain if all(plain.split(".")) else " ".join(plain.replace(".", " ").split())
    return plain or name


def odd_names(rows: Rows) -> Recognised:
    """Names of columns that no template can name: with blanks at their ends, line breaks or braces."""
    renamed = {name: plain_name(name) for name in columns_of(rows)}
    odd = [name for name, plain in renamed.items() if name != plain]
    if not odd or len(set(renamed.values())) < len(renamed):
        return None
    first = " ".join(odd[0].split())
    return (
        lambda row: [{plain_name(name): value for name, value in row.items()}],
        f"`{first}` is renamed: blanks, line breaks, braces or a dot at its end",
    )


def lists_as_text(rows: Rows) -> Recognised:
    """Lists that are text in a table: `["a", "b"]` of JSON, or `['a', 'b']` as Python prints it."""
    columns = [
        name for name in columns_of(rows)
        if (texts := [row[name] for row in rows if row.get(name) not in (None, "")])
        and all(isinstance(text, str) and text.strip().startswith(("[", "<")) for text in texts)
        and sum(_list_in(text) is not None for text in texts) >= NEARLY * len(texts)
    ]  # fmt: skip
    if not columns:
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        lists = {name: _list_in(row[name]) for name in columns if isinstance(row.get(name), str)}
        yield {**row, **{name: value or [] for name, value in lists.items()}}

    return turn, f"`{columns[0]}` holds lists that were written as text"


def _list_in(text: str) -> list[Any] | None:
    for read in (parse_json, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, list) else None
    # Tags of Stack Overflow: `<python><sql>`.
    if re.fullmatch(r"\s*(<[^<>]+>\s*)+", text):
        return re.findall(r"<([^<>]+)>", text)
    # As numpy prints it, without commas.
    is_printed = re.fullmatch(r"\[\s*('[^']*'\s*)+\]", text.strip())
    return re.findall(r"'([^']*)'", text) if is_printed else None


def numbered(rows: Rows) -> Recognised:
    """Columns of one name with numbers that hold the labels of a row, the last ones seldom filled."""
    stems: dict[str, list[str]] = {}
    for name in columns_of(rows):
        stem = re.sub(r"[ _-]?\d+$", "", name)
        # Of two compared answers the scores are no labels.
        if rank(stem, LABEL_NAMES) < len(LABEL_NAMES) and not SCORE.match(name):
            stems.setdefault(stem, []).append(name)
    for stem, columns in stems.items():
        values = [[str(row.get(name) or "").strip() for name in columns] for row in rows]
        last = [some[-1] for some in values]
        # Several people's labels of one row are there in every row.
        is_seldom = sum(not one for one in last) > 0.05 * len(rows)
        is_short = all(len(one) <= LONGEST_LABEL for some in values for one in some)
        if len(columns) > 1 and is_seldom and is_short and any(last):

            def turn(
                row: Row, s: str = stem, names: list[str] = columns
            ) -> Iterator[dict[str, Any]]:
                found = [str(row.get(name) or "").strip() for name in names]
                yield {**without(row, *names), s: list(dict.fromkeys(filter(None, found)))}

            return turn, f"`{columns[0]}` to `{columns[-1]}` hold the labels of a row"
    return None


def some_without(rows: Rows) -> Recognised:
    """Rows that lack the label or the answer that the others have: they are empty there, and a check drops them."""
    for name in columns_of(rows):
        lacking = sum(name not in row for row in rows)
        # Where a list is missing, there is none of what it lists.
        is_list = any(isinstance(row.get(name), list | Mapping) for row in rows)
        if name.lower() in ANSWERED and 0 < lacking <= len(rows) / 2 and not is_list:
            return (
                lambda row, name=name: [{**row, name: row.get(name)}],
                f"`{name}` is missing in some rows: it is empty there",
            )
    return None


def flags(rows: Rows) -> Recognised:
    """A column of 0 and 1 for each label: a row has those that are 1."""
    words = {
        name: {_word(row.get(name)) for row in rows if row.get(name) is not None}
        for name in columns_of(rows)
    }
    columns = [
        name for name, some in words.items() if some <= FLAGS and any(some) and not NEVER.match(name)
    ]  # fmt: skip
    used = [name for name in columns if words[name] & SET]
    # Two such columns may be a label and a remark on the row.
    fewest = 3 if any(map(NO_LABEL.match, columns)) else 2
    others = [n for n in words if n not in columns and rank(n, LABEL_NAMES) < len(LABEL_NAMES)]
    has_classes = any(
        2 <= len({str(row.get(name)) for row in rows}) <= len(rows) // 4 for name in others
    )
    if not fewest <= len(columns) <= MOST_FLAGS or len(used) < 2 or has_classes:
        return None
    return (
        lambda row: [{**without(row, *columns), "labels": [n for n in columns if _word(row.get(n)) in SET]}],
        f"{len(columns)} columns of 0 and 1 are labels, from `{columns[0]}` on",
    )  # fmt: skip


def _word(value: object) -> str:
    return str(value).lower()


def _labels_in(value: Any) -> list[str]:
    """Return the labels of an object of flags, of a list of flags, or of a list of codes."""
    if isinstance(value, Mapping):
        return [str(name) for name, one in value.items() if _word(one) in SET]
    return [str(one) for one in value]


def _places_in(value: Any) -> list[str]:
    return [str(at) for at, one in enumerate(value) if _word(one) in SET]


def _read_codes(rows: Rows, at: Columns) -> Columns | None:
    values = [row[at["name"]] for row in rows]
    read = _labels_in
    if isinstance(values[0], Mapping):
        keys = values[0].keys()
        are_flags = len(keys) > 1 and all(
            isinstance(one, Mapping) and one.keys() == keys for one in values
        )
        if not are_flags or not {_word(one) for value in values for one in value.values()} <= FLAGS:
            return None
    else:
        items = [item for value in values for item in value]
        if not items or not CODED.search(at["name"]):
            return None
        if not all(isinstance(one, int | float) for one in items):
            return None
        sizes = {len(value) for value in values}
        if len(sizes) == 1 and max(sizes) > 1 and {_word(one) for one in items} <= FLAGS:
            read = _places_in
        elif not all(isinstance(one, int) for one in items) or len(set(items)) > MOST_FLAGS:
            return None
    found = [read(value) for value in values]
    is_usable = len({one for some in found for one in some}) > 1
    return {"read": read, "is_one": all(len(some) == 1 for some in found)} if is_usable else None


def _coded(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    found = at["read"](row[at["name"]])
    if not at["is_one"]:
        yield {**row, at["name"]: found}
    elif found:
        yield {**row, at["name"]: found[0]}


def _are_named(values: Sequence[Any]) -> bool:
    if not all(map(objects, values)):
        return False
    items = [item for some in values for item in some]
    names = [item.get("name") for item in items]
    is_plain = all(
        not item.keys() & MORE and not any(isinstance(one, Mapping | list) for one in item.values())
        for item in items
    )
    return (
        is_plain
        and all(isinstance(one, str) for one in names)
        and 0 < 2 * len(set(names)) <= len(names)
    )


LABELS: Final[tuple[Attempt, ...]] = (
    RowLayout(
        why="`{name}` holds objects, whose names are the labels",
        needs={"name": Role(test=_are_named)},
        make=lambda row, at: [{**row, at["name"]: [one["name"] for one in row[at["name"]]]}],
    ),
    flags,
    RowLayout(
        why="`{name}` says by numbers which labels a row has",
        needs={
            "name": Role(
                test=lambda values: (
                    all(isinstance(one, list) for one in values)
                    or all(isinstance(one, Mapping) for one in values)
                )
            )
        },
        fits=_read_codes,
        make=_coded,
    ),
)
