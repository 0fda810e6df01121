"""A recipe's text as a tree: every scalar as it is written, every comment with what it is about.

A comment at the end of a line is about that line; one on a line of its own is about what follows, unless it is indented
like the block that ends there. A blank line belongs to what follows it. A list or a mapping in brackets that holds a
comment stays as it is written.
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
    """Attach every comment of the text, and every blank line, to an item or a collection of the tree."""
    entries = list(_entries(root, ()))
    for at, text in parsed.comments:
        line, column = at
        previous = next((entry for entry in reversed(entries) if entry.item.at < at), None)
        following = next((entry for entry in entries if entry.item.at > at), None)
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
            # A blank line before a comment belongs to the same item as the comment.
            below = next((other for other in parsed.lines[line:] if other.strip()), "")
            column = len(below) - len(below.lstrip())
            if not below.lstrip().startswith("#"):
                if following is not None:
                    following.item.before.append(text)
                continue
        ending = previous.within if previous else ()
        if following is not None:
            ending = ending if column > following.column else ()
            ending = tuple(node for node in ending if node not in following.within)
        last = root.after if following is None else following.item.before
        fitting = [node.after for node in ending if node.indent <= column]
        (fitting or [last])[-1].append(text)


def _entries(node: Collection, within: tuple[Collection, ...]) -> Iterator[_Entry]:
    """Yield the items that a comment can be about, in the order of the text; no items within brackets."""
    within = (*within, node)
    for item in node.items:
        column = node.indent if node.is_list and not node.is_flow else item.at[1]
        yield _Entry(item=item, column=column, within=within)
        if isinstance(item.value, Collection) and not item.value.is_flow:
            yield from _entries(item.value, within)


def _comments(bare: Sequence[str], start: At, end: At) -> Iterator[tuple[At, str]]:
    """Yield place and text of each comment and blank line between two places; the text of a blank line is empty."""
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
    """Its lines, the later ones without indentation; empty for no value."""
    header: str = ""
    """Header of a block scalar: `|` or `>`, and how its end is kept; its `lines` are the content."""


@dataclass(slots=True, kw_only=True)
class Item:
    key: Scalar | None
    """None in a list."""
    value: Node
    at: At
    """Start of the key, or in a list of the value."""
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
        """Column of the items in block style."""
        return self.start[1]


Node = Scalar | Collection


@dataclass(slots=True, kw_only=True)
class _Builder:
    lines: tuple[str, ...]
    bare: list[str]
    """The lines with every scalar painted over, so that what begins with `#` is a comment."""
    inside: list[str] = field(default_factory=list)
    """Comments within brackets."""

    def node(self, node: Any, parent: int, *, in_flow: bool = False) -> Node:
        """Return the value of a YAML node; `parent` is the column of the collection that holds it."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, parent)
        is_list = isinstance(node, yaml.SequenceNode)
        start, end = _at(node.start_mark), _at(node.end_mark)
        collection = Collection(is_list=is_list, is_flow=bool(node.flow_style), start=start)
        inner = parent if collection.is_flow else collection.indent
        for part in node.value:
            key, value = (None, part) if is_list else part
            item = Item(
                key=key and self._scalar(key, inner),
                value=self.node(value, inner, in_flow=collection.is_flow),
                at=_at((key or value).start_mark),
            )
            collection.items.append(item)
        if not collection.is_flow or in_flow:
            return collection
        comments = [text for _, text in _comments(self.bare, start, end) if text]
        self.inside += comments
        self._paint_over(start, end)
        return self._written(start, end) if comments else collection

    def _scalar(self, node: Any, parent: int) -> Scalar:
        start, end = _at(node.start_mark), _at(node.end_mark)
        if node.style in ("|", ">"):
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
        assert header is not None  # noqa: S101 - YAML read it
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
            content.pop()  # The text after the last line break of the file is no line.
        # A comment may follow on the line of the header.
        self._paint_over(start, (line, header.end()))
        last = line + len(content)
        if content:
            self._paint_over((line + 1, 0), (last, len(self.lines[last])))
        chomping = header["rest"].strip("0123456789")
        return Scalar(lines=tuple(content), header=header["style"] + chomping)


class Parsed(Value):
    """The parts of a recipe's text; its comments are not attached yet."""

    root: Node
    """A scalar if the recipe is in brackets that hold comments."""
    lines: tuple[str, ...]
    comments: tuple[tuple[At, str], ...]
    """Place and text, empty for a blank line; without comments in brackets."""
    texts: tuple[str, ...]
    """Texts of all comments, sorted."""


def parse(text: str) -> Parsed:
    lines = split_lines(text)
    builder = _Builder(lines=lines, bare=list(lines))
    root = builder.node(yaml.compose(text, Loader=PARSER), -1)
    last = len(lines) - (lines[-1] == "")
    comments = tuple(_comments(builder.bare, (0, 0), (last, 0)))
    texts = [*builder.inside, *(text for _, text in comments if text)]
    return Parsed(root=root, lines=lines, comments=comments, texts=tuple(sorted(texts)))


def _at(mark: Any) -> At:
    return (mark.line, mark.column)
