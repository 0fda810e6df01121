"""Values of JSON and YAML as rows: arrays that a recipe can name, and shapes that have to be laid out anew."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import yaml

from engine.data.examples.template import as_text
from engine.drafting.column_profile import may_be_called
from engine.drafting.layout_steps import marked_text
from engine.drafting.layout_table import PATTERNS, objects, texts
from engine.drafting.table_text import Found, Rows
from engine.errors import DataError
from engine.files.reading import MAX_DEPTH, parse_json
from engine.recipe.text.compose import MAX_WHOLE, plain_value
from engine.recipe.text.source import PARSER

FEWEST: Final = 4
"""Rows from which lists are columns, and texts rows."""
MOST_ROWS: Final = 8 << 20
"""Characters of a file of rows; libyaml reads about one million of them a second."""
PLAIN: Final = "tag:slm-recipe,plain"
"""Of a scalar without quotes in a file of rows."""
RASA: Final = "examples stand below their intents, as Rasa writes them"
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
    if isinstance(value, list):
        are_texts = len(value) >= FEWEST and texts(value)
        rows = [{"text": text} for text in value if are_texts]
        return (rows, "it holds a list of texts") if rows else None
    parts = list(value.values()) if isinstance(value, Mapping) else []
    if all(isinstance(part, list) for part in parts):
        return _parts_below_intent(value) or _lists_by_name(value) if parts else None
    keys = [tuple(part) for part in parts if isinstance(part, Mapping)]
    if len(keys) < max(2, len(parts)):
        return None
    if len(set(keys)) == 1 and all(key.isdigit() for key in keys[0]):
        rows = [{name: part[key] for name, part in value.items()} for key in keys[0]]
        return rows, "it holds an object for each column"
    # Rows may lack a key, but they share most of them.
    if len(parts) >= FEWEST and len(set(keys[0]).intersection(*keys)) >= 2:
        return parts, "it holds its rows by their names"
    return None


def _parts_below_intent(value: Mapping[str, list[Any]]) -> Found:
    """Read SNIPS' examples: `{"PlayMusic": [{"data": [{"text": "play "}, {"text": "jazz", "entity": "genre"}]}]}`."""
    rows: Rows = []
    for label, examples in value.items():
        for item in examples:
            parts: Any = item.get("data") if isinstance(item, Mapping) else None
            if not objects(parts) or not texts([part.get("text") for part in parts]):
                return None
            named = ((p["text"], str(p.get("entity", p.get("slot_name")) or "")) for p in parts)
            rows.append({**marked_text(named), "label": label})
    return (rows, "each text is in parts below its intent, as SNIPS writes it") if rows else None


def _lists_by_name(value: Mapping[str, list[Any]]) -> Found:
    """Read a list for each column, else the texts of each label."""
    parts = list(value.values())
    items = [item for part in parts for item in part]
    if len(parts) < 2 or any(isinstance(item, list | Mapping) for item in items):
        return None
    # Texts of as many for each label, which no column is called after.
    is_known = any(may_be_called(name, "text", "label", "answer", "id") for name in value)
    worded = sum(" " in str(item) for item in items)
    are_texts = len(parts) > 2 and not is_known and worded >= 0.95 * len(items)
    if len({len(part) for part in parts}) == 1 and len(parts[0]) >= FEWEST and not are_texts:
        rows = [dict(zip(value, row, strict=True)) for row in zip(*parts, strict=True)]
        return rows, "it holds a list for each column"
    rows = [{"text": text, "label": label} for label, some in value.items() for text in some]
    is_usable = len(rows) >= 2 * len(value) and texts(items)
    return (rows, "its texts stand below their label") if is_usable else None


def rows_of_yaml(text: str, name: str) -> tuple[Rows, str]:
    """Return the rows of Rasa's `nlu` (intents with their examples), else of a value as in JSON."""
    try:
        value = parse_json(json.dumps(load_rows(text), default=str))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise DataError.one("D325", f"`{name}` is not YAML: {error}") from error
    if isinstance(value, Mapping) and isinstance(value.get("nlu"), list):
        return [*_examples_of_rasa(value["nlu"])], RASA
    if found := rows_of_value(value):
        return found
    arrays = [array for _, array in arrays_in(value) if objects(array)]
    if arrays:
        return max(arrays, key=len), "it holds a list of objects in YAML"
    raise NoRowsError.one(
        "D326",
        f"`{name}` holds no list of objects, so it has no rows",
        hint="rows are objects of one list, or lists of texts below their labels",
    )


def _examples_of_rasa(blocks: list[Any]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        intent = as_text(block.get("intent")) if isinstance(block, Mapping) else None
        given = block.get("examples") if intent else []
        for item in given if isinstance(given, list) else str(given or "").splitlines():
            example = str(item.get("text", "") if isinstance(item, Mapping) else item)
            if plain := example.strip().removeprefix("-").strip():
                yield _example_of_intent(plain, intent or "")


def _example_of_intent(text: str, intent: str) -> dict[str, Any]:
    """Return an example of Rasa as a row: its text without the marks, its intent and the marked parts."""
    parts, end = [], 0
    for match in PATTERNS["entity of Rasa"].finditer(text):
        named = re.search(r'"entity"\s*:\s*"([^"]+)"', match[3] or "")
        name = match[2] or (named[1] if named else match[3] or "")
        parts += [(text[end : match.start()], ""), (match[1], name.split(":")[0])]
        end = match.end()
    found = marked_text([*parts, (text[end:], "")])
    return {"text": found["text"].strip(), "intent": intent, "entities": found["spans"]}


class RowParser(PARSER):  # type: ignore[misc]
    """Reads scalars without quotes as recipes do: `no`, `007`, `12:30` and dates are the texts that they look like.

    YAML 1.1 makes false, 7, 750 and a date of them, so that the labels `yes` and `on` would be one.
    """

    yaml_implicit_resolvers: ClassVar[dict[str | None, list[tuple[str, re.Pattern[str]]]]] = {
        None: [(PLAIN, re.compile(""))]
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
    """Return the value of a YAML text of at most so many characters.

    yaml.YAMLError where it is none, ValueError where it is longer, nested too deep or has aliases, and as `usual`.
    """
    if len(text) > most:
        raise ValueError(f"longer than {most:,} characters")
    depth, aliases = 0, []
    for event in yaml.parse(text, Loader=PARSER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        aliases += [event.anchor] if isinstance(event, yaml.AliasEvent) else []
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    if aliases:
        raise ValueError(f"it holds the alias `*{aliases[0]}`: write its value there")
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
