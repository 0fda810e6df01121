"""Small edits of a recipe's text that touch nothing else: a value replaced, a key added below another."""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from itertools import count
from operator import getitem
from typing import Any

from engine.errors import RecipeError
from engine.recipe.text.compose import KeyPath, dotted, is_plain_text
from engine.recipe.text.layout.tree import Collection, parse
from engine.recipe.text.paths import as_typed
from engine.recipe.text.source import LINE_BREAK, SourceText, parse_source
from engine.values import Value


class Edit(Value):
    """A key that is to have a value."""

    at: KeyPath
    value: str
    """Written without quotes: a digest or a version."""
    below: str
    """The key of the same mapping that it is written after, where it is not there yet."""


def with_edits(text: str, source: SourceText, edits: tuple[Edit, ...]) -> str:
    """Return `text`, the text of `source`, with some keys set; comments and layout stay.

    RecipeError R127 where a key is written in a way that cannot be edited; `recipe fmt` helps then.
    """
    # From the end to the start, so that the offsets of the others stay right.
    replaced = sorted((_replacement(text, source, edit) for edit in edits), reverse=True)
    for start, end, new in replaced:
        text = text[:start] + new + text[end:]
    # Whatever layout was not expected shows here, before anything is written.
    if parse_source(text.encode(), source.path).value != _expected(source.value, edits):
        first = edits[0]
        raise RecipeError.one(
            "R127",
            "this is written in a way that cannot be edited in place",
            path=dotted(first.at),
            place=source.place(first.at[:-1], key=True),
            hint=f"recipe fmt {as_typed(source.file)}, and try again",
        )
    return text


def _replacement(text: str, source: SourceText, edit: Edit) -> tuple[int, int, str]:
    """Return what to replace: from, to, and by what."""
    starts = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
    if (span := source.values.get(edit.at)) is not None:
        start = starts[span.line - 1] + span.column - 1
        return start, start + span.width, _spelled(edit.value)
    *holder, name = edit.at
    anchor, key = source.values[(*holder, edit.below)], source.keys[(*holder, edit.below)]
    if _is_flow(text, tuple(holder)):
        end = starts[anchor.line - 1] + anchor.column - 1 + anchor.width
        return end, end, f", {name}: {_spelled(edit.value)}"
    ending = LINE_BREAK.search(text, starts[anchor.line - 1])
    after = ending.end() if ending else len(text)
    line_break = ending[0] if ending else "\n"
    new = f"{' ' * (key.column - 1)}{name}: {_spelled(edit.value)}"
    return after, after, f"{new}{line_break}" if ending else f"{line_break}{new}"


def _spelled(value: str) -> str:
    """Return a digest as it may stand in YAML: one of digits alone would be a number."""
    return value if is_plain_text(value) else f'"{value}"'


def _is_flow(text: str, path: KeyPath) -> bool:
    node: Any = parse(text).root
    for part in path:
        names = ("".join(item.key.lines).strip("\"'") for item in node.items)
        items = dict(zip(count() if node.is_list else names, node.items, strict=False))
        node = items[part].value
    return isinstance(node, Collection) and node.is_flow


def _expected(value: Any, edits: tuple[Edit, ...]) -> Any:
    found = deepcopy(value)
    for edit in edits:
        *holder, name = edit.at
        reduce(getitem, holder, found)[name] = edit.value
    return found
