"""A recipe's text as a tree: every scalar as it is written, every comment with what it speaks of.

A comment at the end of a line speaks of what stands on it; one on a line of its own of what comes
next, unless it is indented like the block that ends there. A blank line belongs to what follows it.
A list or a mapping in brackets that holds a comment is left as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from engine.recipe.text.source import PARSER, split_lines
from engine.values import Value


class _Entry(Value):
    item: Item
    column: int
    within: tuple[Collection, ...]


def attach(root: Collection, parsed: Parsed) -> None:
    """Give every comment of the text, and every blank line, to an item or a collection of the tree."""
    entries = list(_entries(root, ()))
    for at, text in parsed.comments:
        line, column = at
        previous = next((one for one in reversed(entries) if one.item.at < at), None)
        following = next((one for one in entries if one.item.at > at), None)
        if lead := parsed.lines[line][:column].strip():
            item = previous.item if previous else None
            if (item is None or set(lead) <= {"-", " ", "?"}) and following is not None:
                following.item.before.append(text)
            elif item is None:
                root.after.append(text)
            elif item.beside:
                item.before.append(text)
            else:
                item.beside, item.column = text, column
            continue
        if not text:
            # a blank line goes where the comment goes that it precedes
            below = next((one for one in parsed.lines[line:] if one.strip()), "")
            column = len(below) - len(below.lstrip())
            if not below.lstrip().startswith("#"):
                if following is not None:
                    following.item.before.append(text)
                continue
        ending = previous.within if previous else ()
        if following is not None:
            ending = ending if column > following.column else ()
            ending = tuple(node for node in ending if node not in following.within)
        fitting = [node.after for node in ending if node.indent <= column]
        last = root.after if following is None else following.item.before
        target = fitting[-1] if fitting else last
        target.append(text)


def _entries(node: Collection, within: tuple[Collection, ...]) -> Iterator[_Entry]:
    """Yield the items that a comment can speak of, in the order of the text: none within brackets."""
    within = (*within, node)
    for item in node.items:
        column = node.indent if node.is_list and not node.is_flow else item.at[1]
        yield _Entry(item=item, column=column, within=within)
        if isinstance(item.value, Collection) and not item.value.is_flow:
            yield from _entries(item.value, within)


def _comments(bare: Sequence[str], start: At, end: At) -> Iterator[tuple[At, str]]:
    """Yield place and text of each comment between two places, and of each blank line with an empty text."""
    for number in range(start[0], min(end[0] + 1, len(bare))):
        text = bare[number]
        column = text.find("#", start[1] if number == start[0] else 0)
        if not text.strip():
            yield (number, 0), ""
        elif column >= 0 and (number, column) < end:
            yield (number, column), text[column:].rstrip()


At = tuple[int, int]
"""Line and column, both from 0."""

_BLOCK_HEADER: Final = re.compile(r"(?P<style>[|>])(?P<rest>[-+0-9]*)")


class Scalar(Value):
    lines: tuple[str, ...] = ()
    """The first line, then those that follow it without their indentation; empty for no value."""
    header: str = ""
    """Of a block scalar, `|` or `>` and how its end is kept; its `lines` are the content."""


@dataclass(slots=True, kw_only=True)
class Item:
    key: Scalar | None
    """None in a list."""
    value: Node
    at: At
    """Where the key starts, or in a list the value."""
    before: list[str] = field(default_factory=list)
    beside: str = ""
    column: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Collection:
    is_list: bool
    is_flow: bool
    start: At
    items: list[Item] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    """Comments after its last item that still belong to it."""

    @property
    def indent(self) -> int:
        """The column of its items, where it is no flow collection."""
        return self.start[1]


Node = Scalar | Collection


@dataclass(slots=True, kw_only=True)
class Builder:
    lines: tuple[str, ...]
    bare: list[str]
    """The lines, with every scalar that was read painted over: what is left of them may be a comment."""
    inside: list[str] = field(default_factory=list)
    """Comments within brackets."""

    def node(
        self, event: Any, stream: Iterator[Any], parent: int, *, in_flow: bool = False
    ) -> Node:
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
            value = self.node(event, stream, inner, in_flow=found.is_flow)
            found.items.append(Item(key=key, value=value, at=at))
        if not found.is_flow or in_flow:
            return found
        end = _at(event.end_mark)
        comments = [text for _, text in _comments(self.bare, found.start, end) if text]
        self.inside += comments
        self._paint_over(found.start, end)
        return self._written(found.start, end) if comments else found

    def _scalar(self, event: Any, parent: int) -> Scalar:
        start, end = _at(event.start_mark), _at(event.end_mark)
        if event.style in ("|", ">"):
            return self._block(start, parent)
        if start == end:
            return Scalar()
        self._paint_over(start, end)
        return self._written(start, end)

    def _paint_over(self, start: At, end: At) -> None:
        for number in range(start[0], end[0] + 1):
            text = self.bare[number]
            first = start[1] if number == start[0] else 0
            last = end[1] if number == end[0] else len(text)
            # A blank line within a scalar is one of its lines.
            self.bare[number] = text[:first] + "x" * max(last - first, 1) + text[last:]

    def _written(self, start: At, end: At) -> Scalar:
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
        # A comment may follow on the line of the header.
        self._paint_over(start, (line, header.end()))
        last = line + len(content)
        if content:
            self._paint_over((line + 1, 0), (last, len(self.lines[last])))
        chomping = header["rest"].strip("0123456789")
        return Scalar(lines=tuple(content), header=header["style"] + chomping)


class Parsed(Value):
    """A recipe's text, taken apart; its comments are not attached yet."""

    root: Node
    """No collection where the whole recipe stands in brackets that hold comments."""
    lines: tuple[str, ...]
    comments: tuple[tuple[At, str], ...]
    """Place and text, empty for a blank line; without those in brackets."""
    texts: tuple[str, ...]
    """Of all comments, sorted."""


def parse(text: str) -> Parsed:
    lines = split_lines(text)
    builder = Builder(lines=lines, bare=list(lines))
    stream = iter(yaml.parse(text, Loader=PARSER))
    for event in stream:
        if isinstance(event, yaml.MappingStartEvent):
            root, last = builder.node(event, stream, -1), len(lines) - (lines[-1] == "")
            found = tuple(_comments(builder.bare, (0, 0), (last, 0)))
            texts = [*builder.inside, *(text for _, text in found if text)]
            return Parsed(root=root, lines=lines, comments=found, texts=tuple(sorted(texts)))
    raise AssertionError(text)


def _at(mark: Any) -> At:
    return (mark.line, mark.column)
