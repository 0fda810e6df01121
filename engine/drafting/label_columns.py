"""Labels in several columns, as numbers with and without names, in lists that were written as text; splits."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from engine.data.reading.row import Trouble
from engine.data.reading.text import chunks
from engine.data.splitting.column import PLACES
from engine.drafting.layout_table import (
    NEARLY,
    PATTERNS,
    SPLIT,
    TABLE,
    WORDS,
    Columns,
    Recognised,
    Row,
    Rows,
    columns_of,
    objects,
    texts,
    without,
)
from engine.drafting.profile import LONGEST_LABEL, is_called
from engine.errors import DataError, RecipeError
from engine.files.reading import parse_json

Names = Mapping[int, str]


def names_in(path: Path) -> Names | None:
    """Return the names of labels by their numbers; None where a file holds other things."""
    if not PATTERNS["file of label names"].fullmatch(path.name) or path.stat().st_size > (1 << 18):
        return None
    try:
        text = "".join(chunks(path, "utf-8", Trouble(path.name)))
        found = _of_json(parse_json(text)) if path.suffix.lower() == ".json" else _of_lines(text)
    except (DataError, ValueError):
        return None
    is_usable = 2 <= len(found) <= 1000 and len(set(found.values())) == len(found)
    return found if is_usable and max(map(len, found.values())) <= 80 else None


def _of_json(value: Any) -> dict[int, str]:
    if texts(value):
        return dict(enumerate(value))
    if not isinstance(value, dict):
        return {}
    if all(type(one) is int for one in value.values()):
        return {code: name for name, code in value.items()}
    return {int(code): name for code, name in value.items()} if texts([*value.values()]) else {}


def _of_lines(text: str) -> dict[int, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    coded = [re.fullmatch(r"(\d+)[\s,;:]+(.+)|(.+?)[\s,;:]+(\d+)", line) for line in lines]
    # The first line may name the two columns.
    coded = coded[1:] if len(coded) > 2 and coded[0] is None else coded
    found = [one for one in coded if one]
    if len(found) == len(coded):
        return {int(one[1] or one[4]): (one[2] or one[3]).strip("\"' ") for one in found}
    # A table of several columns says more than names.
    is_table = len(lines) > 2 and all(re.search(r"[,;\t]", line) for line in lines)
    return {} if is_table else dict(enumerate(lines))


def named_labels(rows: Rows, names: Names) -> Recognised:
    """Recognise the column, or the lists, whose numbers are those of the names."""
    for name in sorted(columns_of(rows), key=lambda one: not PATTERNS["labels"].search(one)):
        items = [_items(row.get(name)) for row in rows]
        # A value that is no number is none of the names.
        codes = {
            int(str(one)) if PATTERNS["code"].fullmatch(str(one)) else -1
            for some in items for one in some if one not in (None, "")
        }  # fmt: skip
        if len(codes) < 2 or not (PATTERNS["labels"].search(name) or len(codes) == len(names)):
            continue
        # A list without numbers is counted from 0, and by some tools from 1.
        first = int(min(names) == 0 and min(codes) >= 1 and max(codes) == len(names))
        if {one - first for one in codes} <= names.keys():
            named = {code + first: one for code, one in names.items()}
            return coded({name: named}, listed=any(len(some) > 1 for some in items))
    return None


def coded(columns: Mapping[str, Names], *, listed: bool = False) -> Recognised:
    """Return what replaces the numbers in columns by names; `listed` where a row may have several."""

    def turn(row: Row) -> Made:
        found = dict(row)
        for name in columns.keys() & row.keys():
            labels = [_named(one, columns[name]) for one in _items(row[name])]
            is_list = listed or len(labels) != 1 or isinstance(row[name], list)
            found[name] = labels if is_list else labels[0]
        yield found

    shown = ", ".join(f"`{name}`" for name in columns)
    return turn, f"the numbers in {shown} have names"


def _items(value: object) -> list[Any]:
    """Return the items of a list, or of a text that lists numbers; any other value is one item."""
    if isinstance(value, str) and PATTERNS["codes"].fullmatch(value):
        return re.split(r"\s*[,;|]\s*", value)
    return value if isinstance(value, list) else [value]


def _named(value: object, names: Names) -> object:
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    # `datasets` writes -1 where a row has no label.
    if value in (-1, None):
        return None
    return names.get(int(str(value)), value) if PATTERNS["code"].fullmatch(str(value)) else value


def class_names(feature: object) -> list[str]:
    """Return what a feature of `datasets` calls its numbers; nothing where it is none of labels."""
    if isinstance(feature, list) and feature:
        return class_names(feature[0])
    if not isinstance(feature, Mapping):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature.get("names") or []]
    return class_names(feature.get("feature"))


Made = Iterator[dict[str, Any]]
FLAGS: Final = frozenset(WORDS["flags"])
SET: Final = frozenset(WORDS["set"])
MORE: Final = {"start", "end", "offset", "text", "value", "content"}
"""Keys of objects that are more than a name, such as a marked part of a text or a turn."""


def may_say_split(name: str) -> bool:
    return bool(PATTERNS["flag of a split"].match(name) or PATTERNS["column of splits"].match(name))


def _lower(value: object) -> str:
    return str(value).strip().lower()


def splits(rows: Rows) -> Recognised:
    """A column that says the split in words of its own (`eval`, `tst`), or by yes and no (`is_test`)."""
    for name in filter(may_say_split, columns_of(rows)):
        words = {_lower(row.get(name)) for row in rows}
        if flag := PATTERNS["flag of a split"].match(name):
            new, why = SPLIT, f"`{name}` says which rows judge"
            is_train = flag[1].lower().startswith("train")
            plain = {word: "train" if (word in SET) == is_train else "test" for word in words}
            is_known = words <= FLAGS and len(set(plain.values())) == 2
        else:
            new, why = name, f"`{name}` says the split in other words"
            plain = _plain_splits(words)
            is_known = any(word != one for word, one in plain.items())
        if is_known:

            def turn(row: Row, name: str = name, new: str = new, plain: Row = plain) -> Made:
                # A column that keeps its name keeps its place.
                rest = row if new == name else without(row, name)
                yield {**rest, new: plain[_lower(row.get(name))]}

            return turn, why
    return None


def _plain_splits(words: Iterable[str]) -> dict[str, str]:
    """Return the split that each word says, as recipes know it; none where a word says another thing."""
    plain = {word: TABLE["splits"].get(word, word) for word in words}
    places = {word: PLACES[one].split for word, one in plain.items() if one in PLACES}
    found = set(places.values())
    if len(places) < len(plain) or "train" not in found or len(found) < 2:
        return {}
    # The only split to judge by judges.
    judges = {word: "train" if one == "train" else "test" for word, one in places.items()}
    return plain if "holdout" in found else judges


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
    """Lists that are text in a table: `["a", "b"]` of JSON, or `['a', 'b']` as Python and numpy print it."""
    columns = []
    for name in columns_of(rows):
        found = [_list_in(row[name]) for row in rows if row.get(name) not in (None, "")]
        columns += [name] if found and len(found) - found.count(None) >= NEARLY * len(found) else []

    def turn(row: Row) -> Made:
        lists = {name: _list_in(row[name]) for name in columns if isinstance(row.get(name), str)}
        yield {**row, **{name: value or [] for name, value in lists.items()}}

    return (turn, f"`{columns[0]}` holds lists that were written as text") if columns else None


def _list_in(text: object) -> list[Any] | None:
    """Return the list of a text; None for what holds none. Tags of Stack Overflow are one too: `<python><sql>`."""
    text = text.strip() if isinstance(text, str) else ""
    if text[:1] not in ("[", "<"):
        return None
    for read in (parse_json, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = read(text)
            return value if isinstance(value, list) else None
    if re.fullmatch(r"(<[^<>]+>\s*)+", text):
        return re.findall(r"<([^<>]+)>", text)
    return re.findall(r"'([^']*)'", text) if re.fullmatch(r"\[\s*('[^']*'\s*)+\]", text) else None


def numbered(rows: Rows) -> Recognised:
    """Columns of one name with numbers that hold the labels of a row, the last ones seldom filled."""
    stems: dict[str, list[str]] = {}
    for name in columns_of(rows):
        stem = re.sub(r"[ _-]?\d+$", "", name)
        # Of two compared answers the scores are no labels.
        if is_called(stem, "label") and not PATTERNS["score of a side"].match(name):
            stems.setdefault(stem, []).append(name)
    for stem, columns in stems.items():
        values = [[str(row.get(name) or "").strip() for name in columns] for row in rows]
        empty = sum(not some[-1] for some in values)
        # Several people's labels of one row are there in every row.
        is_seldom = len(columns) > 1 and 0.05 * len(rows) < empty < len(rows)
        if is_seldom and all(len(one) <= LONGEST_LABEL for some in values for one in some):

            def turn(row: Row, stem: str = stem, columns: Sequence[str] = columns) -> Made:
                found = (str(row.get(name) or "").strip() for name in columns)
                yield {**without(row, *columns), stem: list(dict.fromkeys(filter(None, found)))}

            return turn, f"`{columns[0]}` to `{columns[-1]}` hold the labels of a row"
    return None


def flags(rows: Rows) -> Recognised:
    words = {
        name: {_lower(row.get(name)) for row in rows if row.get(name) is not None}
        for name in columns_of(rows)
    }
    columns = [
        name
        for name, some in words.items()
        if some <= FLAGS and any(some) and not PATTERNS["no flag"].match(name)
    ]
    # Two such columns may be a label and a remark on the row.
    fewest = 3 if any(map(PATTERNS["no flag of two"].match, columns)) else 2
    has_classes = any(
        2 <= len({str(row.get(name)) for row in rows}) <= len(rows) // 4
        for name in words
        if name not in columns and is_called(name, "label")
    )
    used = sum(bool(words[name] & SET) for name in columns)
    if not fewest <= len(columns) <= 100 or used < 2 or has_classes:
        return None
    return (
        lambda row: [{**without(row, *columns), "labels": _set_in(row, columns)}],
        f"{len(columns)} columns of 0 and 1 are labels, from `{columns[0]}` on",
    )


def _set_in(row: Row, names: Iterable[str]) -> list[str]:
    return [name for name in names if _lower(row.get(name)) in SET]


def has_flags(rows: Rows, at: Columns) -> Columns | None:
    """Recognise objects of the same flags; `is_one` where each sets one of them."""
    values = [row[at["name"]] for row in rows]
    words = {_lower(flag) for value in values for flag in value.values()}
    if len(values[0]) < 2 or not words <= FLAGS or any(v.keys() != values[0].keys() for v in values):  # fmt: skip
        return None
    found = [_set_in(value, value) for value in values]
    is_usable = len({one for some in found for one in some}) > 1
    return {"is_one": all(len(some) == 1 for some in found)} if is_usable else None


def set_flags(row: Row, at: Columns) -> Made:
    found = _set_in(row[at["name"]], row[at["name"]])
    if found or not at["is_one"]:
        yield {**row, at["name"]: found[0] if at["is_one"] else found}


def _are_named(values: Sequence[Any]) -> bool:
    items = [item for some in values for item in some] if all(map(objects, values)) else []
    names = [
        item["name"]
        for item in items
        if isinstance(item.get("name"), str) and not item.keys() & MORE
        and not any(isinstance(one, Mapping | list) for one in item.values())
    ]  # fmt: skip
    return 0 < 2 * len(set(names)) <= len(names) == len(items)


def names_of_objects(row: Row, at: Columns) -> Made:
    yield {**row, at["name"]: [one["name"] for one in row[at["name"]]]}


def refuse_choices(rows: Rows) -> None:
    """Refuse questions with choices, one of which is right. RecipeError R030."""
    names = {name.lower(): name for name in columns_of(rows)}
    listed = [names[name] for name in WORDS["lists of choices"] if name in names]
    has_list = any(isinstance(row[name], list | Mapping) for row in rows for name in listed)
    found = map(PATTERNS["choice"].match, names)
    letters = "".join(sorted(one[1].lower() for one in found if one))
    has_series = len(letters) > 2 and any(
        series.startswith(letters) for series in ("abcdef", "0123456", "123456")
    )
    is_asked = all(not names.keys().isdisjoint(WORDS[what]) for what in ("question", "right"))
    has_choices = has_list or has_series or "choices" in rows[0].get("question", ())
    if (is_asked and has_choices) or ("gold" in names and has_list):
        raise RecipeError.one(
            "R030",
            "its rows are questions with choices: probes, which measure a model and train none",
            hint="join each question and its choices in one column, or name the file under"
            " acceptance.forgetting.probes of a recipe",
        )


TESTS: Final = {"named objects": _are_named}
