"""Values of JSON and YAML as rows: arrays that a recipe can name, and shapes that have to be laid out anew.

YAML that other tools wrote, aliases and merges included, is read by libyaml, within limits.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import yaml

from engine.data.examples.template import as_text
from engine.drafting.layout_table import objects, texts
from engine.drafting.lines import RASA, example_of_intent
from engine.drafting.marks import marked_text
from engine.drafting.profile import may_be_called
from engine.drafting.table_text import Found, Rows
from engine.errors import DataError
from engine.files.reading import MAX_DEPTH
from engine.recipe.text.compose import MAX_WHOLE, plain_value
from engine.recipe.text.source import PARSER

FEWEST: Final = 4
"""Rows from which lists are columns, and texts rows."""
MOST_ROWS: Final = 8 << 20
"""Characters of a file of rows; libyaml reads about one million of them a second."""
PLAIN: Final = "tag:slm-recipe,plain"
"""Of a scalar without quotes in a file of rows."""
ODD_NUMBER: Final = "it holds a number that is not finite, or too large"


class NoRowsError(DataError):
    pass


def arrays_in(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """Yield key path and items of each array of objects, or of arrays of one length."""
    if isinstance(value, list) and value:
        lists = all(isinstance(item, list) and len(item) > 1 for item in value)
        if objects(value) or (lists and len(set(map(len, value))) == 1):
            yield path, value
    elif isinstance(value, Mapping) and depth < 3:
        for name, below in value.items():
            # `records` divides its path at dots, so such a key cannot be named.
            if "." not in name:
                yield from arrays_in(below, f"{path}.{name}" if path else name, depth + 1)


def rows_of_value(value: Any) -> Found:
    """Return the rows of a value in which no array of objects holds them; None of any other value."""
    if isinstance(value, Mapping):
        return _parts_below_intent(value) or _by_column(value)
    if isinstance(value, list) and len(value) >= FEWEST and texts(value):
        return [{"text": one} for one in value], "it holds a list of texts"
    return None


def _parts_below_intent(value: Mapping[str, Any]) -> Found:
    """Read SNIPS' examples: `{"PlayMusic": [{"data": [{"text": "play "}, {"text": "jazz", "entity": "genre"}]}]}`."""
    rows: Rows = []
    for label, examples in value.items():
        for item in examples if isinstance(examples, list) else ():
            parts: Any = item.get("data") if isinstance(item, Mapping) else None
            if not objects(parts) or not texts([part.get("text") for part in parts]):
                return None
            named = ((p["text"], str(p.get("entity", p.get("slot_name")) or "")) for p in parts)
            rows.append({**marked_text(named), "label": label})
    return (rows, "each text is in parts below its intent, as SNIPS writes it") if rows else None


def _by_column(value: Mapping[str, Any]) -> Found:
    """Read an object of columns, of rows by their index, or of texts by their label."""
    parts = list(value.values())
    if all(isinstance(part, list) for part in parts):
        return _lists_of_columns(value) if len(value) > 1 else None
    keys = [tuple(part) for part in parts if isinstance(part, Mapping)]
    if len(keys) < max(2, len(parts)):
        return None
    if len(set(keys)) == 1 and all(key.isdigit() for key in keys[0]):
        rows = [{name: part[key] for name, part in value.items()} for key in keys[0]]
        return rows, "it holds an object for each column"
    # Rows may lack a key, but they share most of them.
    if len(parts) >= FEWEST and len(set(keys[0]).intersection(*keys)) >= 2:
        return [dict(part) for part in parts], "it holds its rows by their names"
    return None


def _lists_of_columns(value: Mapping[str, list[Any]]) -> Found:
    """Read a list for each column, else the texts of each label."""
    parts = list(value.values())
    items = [item for part in parts for item in part]
    is_flat = not any(isinstance(item, list | Mapping) for item in items)
    # Texts of as many for each label, which no column is called after.
    is_known = any(may_be_called(name, "text", "label", "answer", "id") for name in value)
    worded = sum(" " in str(one) for one in items)
    are_texts = len(parts) > 2 and not is_known and worded >= 0.95 * len(items)
    is_long = len({len(part) for part in parts}) == 1 and len(parts[0]) >= FEWEST
    if is_long and is_flat and not are_texts:
        rows = [dict(zip(value, row, strict=True)) for row in zip(*parts, strict=True)]
        return rows, "it holds a list for each column"
    rows = [{"text": text, "label": label} for label, some in value.items() for text in some]
    is_usable = len(rows) >= 2 * len(value) and texts(items)
    return (rows, "its texts stand below their label") if is_usable else None


def rows_of_yaml(text: str, name: str) -> Found:
    """Return the rows of Rasa's `nlu` (intents with their examples), of a list of objects, or of a value as in JSON."""
    try:
        value = load_rows(text)
    except (yaml.YAMLError, ValueError) as error:
        raise DataError.one("D325", f"`{name}` is not YAML: {error}") from error
    if rows := _named(value):
        return rows, "it is a list of objects in YAML"
    if isinstance(value, Mapping):
        if isinstance(value.get("nlu"), list):
            return [*_examples_of_rasa(value["nlu"])], RASA
        if found := _by_column(value):
            return found
        if rows := max(map(_named, value.values()), key=len, default=[]):
            return rows, "it holds a list of objects in YAML"
    raise NoRowsError.one(
        "D326",
        f"`{name}` holds no list of objects, so it has no rows",
        hint="rows are objects of one list, or lists of texts below their labels",
    )


def _named(value: object) -> Rows:
    """Return the objects of a list, with texts as keys; nothing of any other value."""
    items = value if isinstance(value, list) and objects(value) else []
    return [{str(name): one for name, one in item.items()} for item in items]


def _examples_of_rasa(blocks: list[Any]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if not isinstance(block, Mapping) or not isinstance(block.get("intent"), str | int | float):
            continue
        given = block.get("examples")
        if not isinstance(given, list):
            given = str(given or "").splitlines()
        for item in given:
            example = str(item.get("text", "") if isinstance(item, Mapping) else item)
            if example.strip(" -"):
                plain = example.strip().removeprefix("-").strip()
                yield example_of_intent(plain, as_text(block["intent"]) or "")


class RowParser(PARSER):  # type: ignore[misc]
    """Reads scalars without quotes as recipes do: `no`, `007`, `12:30` and dates are the texts that they look like.

    YAML 1.1 makes false, 7, 750 and a date of them, so that the labels `yes` and `on` would be one.
    """

    yaml_implicit_resolvers: ClassVar[dict[str | None, list[tuple[str, re.Pattern[str]]]]] = {
        "<": [("tag:yaml.org,2002:merge", re.compile(r"<<\Z"))],
        None: [(PLAIN, re.compile(""))],
    }


def _plain(_: RowParser, node: yaml.ScalarNode) -> Any:
    try:
        return plain_value(node.value)
    except OverflowError as error:
        raise ValueError(ODD_NUMBER) from error


RowParser.add_constructor(PLAIN, _plain)


def load_rows(text: str) -> Any:
    """Return the value of a file of rows in YAML. Raises as `load_yaml`."""
    return load_yaml(text, most=MOST_ROWS, parser=RowParser)


def load_yaml(text: str, *, most: int, parser: Any = PARSER) -> Any:
    """Return the value of a YAML text of at most so many characters, those of its aliases counted where they stand.

    yaml.YAMLError where it is none, ValueError where it is longer or nested too deep, and as `usual`.
    """
    sizes: dict[str | None, int] = {}
    # Of each list and mapping that is open: its anchor, and the characters in it.
    opened: list[tuple[str | None, int]] = [(None, 0)]
    if len(text) > most:
        raise ValueError(f"longer than {most:,} characters")
    for event in yaml.parse(text, Loader=PARSER):
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, 0))
            if len(opened) > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
            continue
        if isinstance(event, yaml.AliasEvent):
            # One within itself has no end.
            size = sizes.get(event.anchor, most)
        elif isinstance(event, yaml.ScalarEvent):
            size = sizes[event.anchor] = len(event.value)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = opened.pop()
            sizes[anchor] = size
        anchor, before = opened[-1]
        opened[-1] = (anchor, before + size + 1)
        if before + size >= most:
            raise ValueError(f"its aliases make it longer than {most:,} characters")
    loader = parser(text)
    try:
        return usual(loader.get_single_data())
    finally:
        loader.dispose()


def usual[T](value: T) -> T:
    """Return a value whose numbers are of usual size. ValueError for others: no float or text can be made of them."""
    left: list[Any] = [value]
    while left:
        one = left.pop()
        if isinstance(one, int | float) and not abs(one) < MAX_WHOLE:  # nor is NaN
            raise ValueError(ODD_NUMBER)
        if isinstance(one, Mapping | list | tuple | set):
            left += one.values() if isinstance(one, Mapping) else one
    return value
