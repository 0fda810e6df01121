"""A recipe's text as a tree: every scalar as it is written, every comment with what it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from engine.recipe.text.source import PARSER, split_lines
from engine.values import Value

At = tuple[int, int]
"""Line and column, both from 0."""

_BLOCK_HEADER: Final = re.compile(r"(?P<style>[|>])(?P<rest>[-+0-9]*)")


class Scalar(Value):
    """One value or key, as it is written; nothing is read into it."""

    lines: tuple[str, ...] = ()
    """The first line, then those that follow it without their indentation; empty for no value."""
    header: str = ""
    """Of a block scalar, `|` or `>` and how its end is kept; its `lines` are the content."""


@dataclass(slots=True, kw_only=True)
class Item:
    """A key with its value, or an item of a list."""

    key: Scalar | None
    """None in a list."""
    value: Node
    at: At
    """Where the key starts, or in a list the value."""
    before: list[str] = field(default_factory=list)
    """Comments on lines of their own before it; an empty one is a blank line."""
    beside: str = ""
    """The comment that ends its line."""
    column: int = 0
    """Where that comment starts."""


@dataclass(slots=True, kw_only=True)
class Collection:
    """A mapping or a list."""

    is_list: bool
    is_flow: bool
    """Written in braces or brackets."""
    start: At
    end: At = (0, 0)
    items: list[Item] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    """Comments after its last item that still belong to it."""

    @property
    def indent(self) -> int:
        """The column of its items, where it is no flow collection."""
        return self.start[1]


Node = Scalar | Collection


class ScalarSpan(Value):
    """A stretch of the text that holds no comment: one scalar."""

    start: At
    end: At
    header_end: At | None = None
    """Of a block scalar: where its header ends; a comment may follow on that line."""


@dataclass(slots=True, kw_only=True)
class Builder:
    """Builds the tree from parser events."""

    lines: tuple[str, ...]
    spans: list[ScalarSpan] = field(default_factory=list)

    def node(self, event: Any, stream: Iterator[Any], parent: int) -> Node:
        """Return the value that starts with `event`; `parent` is the column of what holds it."""
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, parent)
        found = Collection(
            is_list=isinstance(event, yaml.SequenceStartEvent),
            is_flow=bool(event.flow_style),
            start=_at(event.start_mark),
        )
        inner = parent if found.is_flow else found.indent
        while not isinstance(event := next(stream), yaml.CollectionEndEvent):
            at = _at(event.start_mark)
            key = None
            if not found.is_list:
                key = self._scalar(event, inner)
                event = next(stream)
            found.items.append(Item(key=key, value=self.node(event, stream, inner), at=at))
        found.end = _at(event.end_mark)
        return found

    def _scalar(self, event: Any, parent: int) -> Scalar:
        start, end = _at(event.start_mark), _at(event.end_mark)
        if event.style in ("|", ">"):
            return self._block(start, parent)
        if start == end:
            return Scalar()
        self.spans.append(ScalarSpan(start=start, end=end))
        (first, begin), (last, stop) = start, end
        if first == last:
            return Scalar(lines=(self.lines[first][begin:stop],))
        middle = (line.lstrip(" \t") for line in self.lines[first + 1 : last])
        rest = (*middle, self.lines[last][:stop].lstrip(" \t"))
        return Scalar(lines=(self.lines[first][begin:], *rest))

    def _block(self, start: At, parent: int) -> Scalar:
        line, column = start
        header = _BLOCK_HEADER.match(self.lines[line], column)
        assert header is not None  # noqa: S101 - the parser has read it
        digit = re.search(r"\d", header["rest"])
        keeps = "+" in header["rest"]
        below = self.lines[line + 1 :]
        first = next((text for text in below if text.strip(" ")), "")
        indent = parent + int(digit[0]) if digit else len(first) - len(first.lstrip(" "))
        content = []
        for text in below:
            if text.strip(" ") and len(text) - len(text.lstrip(" ")) < max(indent, parent + 1):
                break
            content.append(text[indent:])
        while content and not content[-1].strip(" ") and not keeps:
            content.pop()
        if keeps and line + 1 + len(content) == len(self.lines) and content and not content[-1]:
            content.pop()  # what follows the last line break of the file is no line
        end = (line + len(content), len(self.lines[line + len(content)]))
        self.spans.append(ScalarSpan(start=start, end=end, header_end=(line, header.end())))
        chomping = header["rest"].strip("0123456789")
        return Scalar(lines=tuple(content), header=header["style"] + chomping)


class Parsed(Value):
    """A recipe's text, taken apart; its comments are not attached yet."""

    root: Collection
    lines: tuple[str, ...]
    spans: tuple[ScalarSpan, ...]


def parse(text: str) -> Parsed:
    """Return the tree of a text that `read_source` has found to be a strict YAML mapping."""
    lines = split_lines(text)
    builder = Builder(lines=lines)
    stream = iter(yaml.parse(text, Loader=PARSER))
    for event in stream:
        if isinstance(event, yaml.MappingStartEvent):
            root = builder.node(event, stream, -1)
            assert isinstance(root, Collection)  # noqa: S101 - it starts a mapping
            return Parsed(root=root, lines=lines, spans=tuple(builder.spans))
    raise AssertionError(text)


def _at(mark: Any) -> At:
    return (mark.line, mark.column)
