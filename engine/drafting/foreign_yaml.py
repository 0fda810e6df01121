"""YAML that other tools wrote, aliases and merges included: read by libyaml, within limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import yaml

from engine.files.reading import MAX_DEPTH
from engine.recipe.text.compose import MAX_WHOLE, plain_value
from engine.recipe.text.source import PARSER

MOST_ROWS: Final = 8 << 20
"""Characters of a file of rows; libyaml reads about one million of them a second."""
PLAIN: Final = "tag:slm-recipe,plain"
"""Of a scalar without quotes in a file of rows."""
ODD_NUMBER: Final = "it holds a number that is not finite, or too large"


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
