"""YAML that other tools wrote, aliases and merges included: read by libyaml, within limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from engine.files.reading import MAX_DEPTH
from engine.recipe.text.compose import MAX_WHOLE
from engine.recipe.text.source import PARSER

MOST_ROWS: Final = 8 << 20
"""Characters of a file of rows; libyaml reads about one million of them a second."""


def load_yaml(text: str, *, most: int) -> Any:
    """Return the value of a YAML text of at most so many characters, those of its aliases counted where they stand.

    yaml.YAMLError where it is none, ValueError where it is longer or nested too deep, and as `usual`.
    """
    sizes: dict[str | None, int] = {}
    # Of each list and mapping that is open: its anchor, and the characters in it.
    opened: list[tuple[str | None, int]] = [(None, 0)]
    if len(text) > most:
        raise ValueError(f"longer than {most:,} characters")
    for event in yaml.parse(text, Loader=PARSER):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, 0))
            if len(opened) > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
            continue
        size = 0
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
    loader = PARSER(text)
    try:
        return usual(loader.get_single_data())
    finally:
        loader.dispose()


def usual[T](value: T) -> T:
    """Return a value whose numbers are of usual size. ValueError for others: no float or text can be made of them."""
    level: list[Any] = [value]
    while level:
        for one in level:
            if isinstance(one, int | float) and not abs(one) < MAX_WHOLE:  # nor is NaN
                raise ValueError("it holds a number that is not finite, or too large")
        level = [
            part
            for one in level if isinstance(one, Mapping | list | tuple | set)
            for part in (one.values() if isinstance(one, Mapping) else one)
        ]  # fmt: skip
    return value
