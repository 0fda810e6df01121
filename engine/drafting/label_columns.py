"""Labels in several columns, as numbers, in lists that were written as text; choices of a question; splits."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.data.splitting.column import PLACES
from engine.drafting.layout_table import (
    NEARLY,
    PATTERNS,
    TABLE,
    WORDS,
    Columns,
    Recognised,
    Row,
    Rows,
    columns_of,
    objects,
    without,
)
from engine.drafting.profile import is_called
from engine.drafting.roles import LONGEST_LABEL
from engine.files.reading import parse_json

Made = Iterator[dict[str, Any]]
FLAGS: Final = frozenset(WORDS["flags"])
SET: Final = frozenset(WORDS["set"])
MOST_FLAGS: Final = 100
MORE: Final = {"start", "end", "offset", "text", "value", "content"}
"""Keys of objects that are more than a name, such as a marked part of a text or a turn."""
LETTERS: Final = "ABCDEFGHIJ"


def may_say_split(name: str) -> bool:
    return bool(PATTERNS["flag of a split"].match(name) or PATTERNS["column of splits"].match(name))


def _word(value: object) -> str:
    return str(value).strip().lower()


def splits(rows: Rows) -> Recognised:
    """A column that says the split in words of its own (`eval`, `tst`), or by yes and no (`is_test`)."""
    for name in filter(may_say_split, columns_of(rows)):
        words = {_word(row.get(name)) for row in rows}
        if found := PATTERNS["flag of a split"].match(name):
            if words & SET and words - SET and words <= FLAGS:
                sides = ("test", "train")
                yes, no = reversed(sides) if found[1].lower().startswith("train") else sides
                plain = {word: yes if word in SET else no for word in words}
                return _renamed(name, "split", plain), f"`{name}` says which rows judge"
            continue
        if not words <= PLACES.keys() | TABLE["splits"].keys():
            continue
        plain = {word: TABLE["splits"].get(word, word) for word in words}
        places = {one: PLACES[one].split for one in plain.values()}
        if "train" not in places.values() or len(set(places.values())) < 2:
            continue
        if "holdout" not in places.values():
            # The only split to judge by judges.
            plain = {w: "train" if places[one] == "train" else "test" for w, one in plain.items()}
        if any(word != one for word, one in plain.items()):
            return _renamed(name, name, plain), f"`{name}` says the split in other words"
    return None


def _renamed(name: str, new: str, plain: Mapping[str, str]) -> Callable[[Row], list[Any]]:
    def turn(row: Row) -> list[Any]:
        rest = row if new == name else without(row, name)
        return [{**rest, new: plain[_word(row.get(name))]}]

    return turn


def plain_name(name: str) -> str:
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
    why = f"`{' '.join(odd[0].split())}` is renamed: blanks, line breaks, braces or a dot at its end"  # fmt: skip
    return lambda row: [{plain_name(name): value for name, value in row.items()}], why


def lists_as_text(rows: Rows) -> Recognised:
    """Lists that are text in a table: `["a", "b"]` of JSON, or `['a', 'b']` as Python prints it."""
    columns = []
    for name in columns_of(rows):
        texts = [row[name] for row in rows if row.get(name) not in (None, "")]
        are_lists = all(isinstance(one, str) and one.strip()[:1] in ("[", "<") for one in texts)
        if texts and are_lists:
            read = sum(_list_in(one) is not None for one in texts)
            columns += [name] if read >= NEARLY * len(texts) else []

    def turn(row: Row) -> Made:
        lists = {name: _list_in(row[name]) for name in columns if isinstance(row.get(name), str)}
        yield {**row, **{name: value or [] for name, value in lists.items()}}

    return (turn, f"`{columns[0]}` holds lists that were written as text") if columns else None


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
        if is_called(stem, "label") and not PATTERNS["score of a side"].match(name):
            stems.setdefault(stem, []).append(name)

    def filled(row: Row, columns: Sequence[str]) -> list[str]:
        return [str(row.get(name) or "").strip() for name in columns]

    for stem, columns in stems.items():
        values = [filled(row, columns) for row in rows]
        last = [some[-1] for some in values]
        # Several people's labels of one row are there in every row.
        is_seldom = sum(not one for one in last) > 0.05 * len(rows)
        is_short = all(len(one) <= LONGEST_LABEL for some in values for one in some)
        if len(columns) > 1 and is_seldom and is_short and any(last):

            def turn(row: Row, stem: str = stem, columns: Sequence[str] = columns) -> Made:
                found = filter(None, filled(row, columns))
                yield {**without(row, *columns), stem: list(dict.fromkeys(found))}

            return turn, f"`{columns[0]}` to `{columns[-1]}` hold the labels of a row"
    return None


def some_without(rows: Rows) -> Recognised:
    """Rows that lack the label or the answer that the others have: they are empty there, and a check drops them."""
    for name in columns_of(rows):
        lacking = sum(name not in row for row in rows)
        # Where a list is missing, there is none of what it lists.
        is_list = any(isinstance(row.get(name), list | Mapping) for row in rows)
        if name.lower() in WORDS["missing"] and 0 < lacking <= len(rows) / 2 and not is_list:
            why = f"`{name}` is missing in some rows: it is empty there"
            return lambda row, name=name: [{**row, name: row.get(name)}], why
    return None


def flags(rows: Rows) -> Recognised:
    words = {
        name: {_lower(row.get(name)) for row in rows if row.get(name) is not None}
        for name in columns_of(rows)
    }
    columns = [
        n
        for n, some in words.items()
        if some <= FLAGS and any(some) and not PATTERNS["no flag"].match(n)
    ]
    used = [name for name in columns if words[name] & SET]
    # Two such columns may be a label and a remark on the row.
    fewest = 3 if any(map(PATTERNS["no flag of two"].match, columns)) else 2
    others = [n for n in words if n not in columns and is_called(n, "label")]
    has_classes = any(
        2 <= len({str(row.get(name)) for row in rows}) <= len(rows) // 4 for name in others
    )
    if not fewest <= len(columns) <= MOST_FLAGS or len(used) < 2 or has_classes:
        return None
    return (
        lambda row: [{**without(row, *columns), "labels": [n for n in columns if _lower(row.get(n)) in SET]}],
        f"{len(columns)} columns of 0 and 1 are labels, from `{columns[0]}` on",
    )  # fmt: skip


def _lower(value: object) -> str:
    return str(value).lower()


def _labels_in(value: Any) -> list[str]:
    """Return the labels of an object of flags, or of a list of codes."""
    if isinstance(value, Mapping):
        return [str(name) for name, one in value.items() if _lower(one) in SET]
    return [str(one) for one in value]


def has_codes(rows: Rows, at: Columns) -> Columns | None:
    values = [row[at["name"]] for row in rows]
    read = _labels_in
    if isinstance(values[0], Mapping):
        are_alike = len(values[0]) > 1 and all(one.keys() == values[0].keys() for one in values)
        if not are_alike or not {_lower(x) for one in values for x in one.values()} <= FLAGS:
            return None
    else:
        items, sizes = [one for value in values for one in value], {len(one) for one in values}
        if not PATTERNS["coded labels"].search(at["name"]) or not all(
            isinstance(one, int | float) for one in items
        ):
            return None
        if len(sizes) == 1 and max(sizes) > 1 and {_lower(one) for one in items} <= FLAGS:
            read = _places_in
        elif not all(isinstance(one, int) for one in items) or len(set(items)) > MOST_FLAGS:
            return None
    found = [read(value) for value in values]
    is_usable = len({one for some in found for one in some}) > 1
    return {"read": read, "is_one": all(len(some) == 1 for some in found)} if is_usable else None


def _places_in(value: Any) -> list[str]:
    return [str(at) for at, one in enumerate(value) if _lower(one) in SET]


def coded_labels(row: Row, at: Columns) -> Made:
    found = at["read"](row[at["name"]])
    if found or not at["is_one"]:
        yield {**row, at["name"]: found[0] if at["is_one"] else found}


def _are_named(values: Sequence[Any]) -> bool:
    items = [item for some in values for item in some] if all(map(objects, values)) else []
    names = [item["name"] for item in items if isinstance(item.get("name"), str)]
    is_plain = not any(
        item.keys() & MORE or any(isinstance(one, Mapping | list) for one in item.values())
        for item in items
    )
    return is_plain and len(names) == len(items) and 0 < 2 * len(set(names)) <= len(names)


def names_of_objects(row: Row, at: Columns) -> Made:
    yield {**row, at["name"]: [one["name"] for one in row[at["name"]]]}


def with_choices(rows: Rows) -> Recognised:
    """A question, the choices, and which one is right: the choices become part of the question."""
    rows = [_unwrapped(row) for row in rows]
    names = columns_of(rows)
    known = {
        name.lower(): name for name in names
        if sum(isinstance(row.get(name), str) and bool(row[name].strip()) for row in rows) >= NEARLY * len(rows)
    }  # fmt: skip
    asked = next((known[name] for name in WORDS["question"] if name in known), None)
    used = next(_choices(rows, names), None)
    if asked is None or used is None or asked in used:
        return None
    free = {name.lower(): name for name in names if name not in used}
    ways = (
        (free[name], way)
        for name in WORDS["right"]
        if name in free and (way := _way(rows, free[name], used))
    )
    right, place = next(ways, ("", None))
    if place is None:
        return None
    before = next((known[n] for n in WORDS["before the question"] if n in known and n != asked), "")
    # A column may only repeat a part of the question.
    part = [name for name in names if name not in used and all(
        isinstance(row.get(name), str) and row[name] in str(row.get(asked)) for row in rows
    )]  # fmt: skip

    def turn(given: Row) -> Made:
        row = _unwrapped(given)
        some = _choices_in(row, used)
        at = place(row[right], some)
        if 0 <= at < len(some):
            listed = [f"{LETTERS[n]}. {one}" for n, one in enumerate(some)]
            lines = [*([str(row[before])] if before else []), str(row[asked]), *listed]
            rest = without(row, *used, *part, asked, right, before)
            yield {**rest, "question": "\n".join(lines), "label": LETTERS[at]}

    why = f"the choices stand below `{asked}`, and `{right}` becomes the letter of the right one"
    return turn, why


def _unwrapped(row: Row) -> Row:
    """Return a row whose question and choices are columns, and not in `question` as in ARC's own files."""
    inner = row.get("question")
    is_wrapped = isinstance(inner, Mapping) and {"stem", "choices"} <= inner.keys()
    return {**row, "question": inner["stem"], "choices": inner["choices"]} if is_wrapped else row  # type: ignore[index]


def _texts_in(value: object) -> list[str]:
    """Return the choices of a value: a list, `{"text": […], "label": […]}` of ARC, `{"A": "…", "B": "…"}`, objects."""
    if isinstance(value, Mapping):
        if "text" in value:
            return _texts_in(value["text"])
        is_lettered = len(value) > 1 and all(PATTERNS["choice"].match(str(key)) for key in value)
        return list(map(str, value.values())) if is_lettered else []
    items = value if isinstance(value, list) else []
    if all(isinstance(one, str | int | float) for one in items):
        return list(map(str, items))
    return [str(one["text"]) for one in items if isinstance(one, Mapping) and "text" in one]


def _choices_in(row: Row, columns: Sequence[str]) -> list[str]:
    """Return the choices of a row: those in its one column of them, else one of each column that is filled."""
    if len(columns) == 1:
        return _texts_in(row[columns[0]])
    return [str(row[name]) for name in columns if row.get(name) not in (None, "")]


def _choices(rows: Rows, names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the columns that may hold choices: one of lists, or `A` to `D`, `option_a`, `ending0`, `sol1`."""
    for name in names:
        in_range = (1 < len(_texts_in(row.get(name))) <= len(LETTERS) for row in rows)
        if name.lower() in WORDS["lists of choices"] and all(in_range):
            yield [name]
    by_stem: dict[str, list[str]] = {}
    for name in sorted(names):
        if found := PATTERNS["choice"].match(name):
            by_stem.setdefault(name[: found.start(1)].lower(), []).append(name)
    for used in by_stem.values():
        marks = [name[-1].lower() for name in used]
        is_series = all(ord(b) - ord(a) == 1 for a, b in itertools.pairwise(marks))
        # The last choice may be missing in some rows, the first two not.
        are_filled = all(
            sum(row.get(name) not in (None, "") for row in rows) >= NEARLY * len(rows)
            for name in used[:2]
        )
        if marks[0] in "a01" and is_series and len(marks) > 1 and are_filled:
            yield used


def _way(rows: Rows, name: str, used: Sequence[str]) -> Any:
    """Return what finds the right choice by what a column holds; None where it does not say it."""
    pairs = [(str(row.get(name, "")).strip(), _choices_in(row, used)) for row in rows]
    ways: list[Callable[[Any, Sequence[str]], int]] = [
        lambda value, some: list(some).index(str(value)) if str(value) in some else -1,
        lambda value, _: LETTERS.find(str(value).strip().upper() or "?"),
        lambda value, _: int(value) if str(value).strip().isdigit() else -1,
        lambda value, _: int(value) - 1 if str(value).strip().isdigit() else -1,
    ]
    are_signs = all(len(value) == 1 for value, _ in pairs)
    ways = [ways[1], ways[0], *ways[2:]] if are_signs else ways[:1]
    if len({value for value, _ in pairs}) < 2:
        return None
    fitting = (
        way for way in ways
        if sum(0 <= way(v, some) < len(some) for v, some in pairs) >= NEARLY * len(pairs)
    )  # fmt: skip
    return next(fitting, None)


def _right_answers(value: object) -> list[Any] | None:
    found = value.get("text") if isinstance(value, Mapping) else value
    return found if isinstance(found, list) else None


def _some_are_empty(values: Sequence[Any]) -> bool:
    texts = list(map(_right_answers, values))
    return all(one is not None for one in texts) and any(texts) and not all(texts)


def answered(row: Row, at: Columns) -> Made:
    if _right_answers(row.get(at["answers"])):
        yield dict(row)


TESTS: Final = {"named objects": _are_named, "some empty": _some_are_empty}
