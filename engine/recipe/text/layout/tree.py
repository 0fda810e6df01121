"""A recipe's text as a tree: every scalar as it is written, every comment with what it speaks of.

A comment at the end of a line speaks of what stands on it; one on a line of its own of what comes
next, unless it is indented like the block that ends there. A blank line belongs to what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from engine.recipe.text.source import PARSER, split_lines
from engine.values import Value


class _Anchor(Value):
    item: Item
    column: int
    within: tuple[Collection, ...]
    owners: tuple[Item | None, ...]


def attach(parsed: Parsed) -> None:
    """Give every comment of the text to an item or a collection of the tree."""
    _CommentPlacer(
        lines=parsed.lines,
        root=parsed.root,
        anchors=list(_anchors(parsed.root, (), ())),
        comments=list(_comments(parsed)),
    ).run()


def comments_of(parsed: Parsed) -> list[str]:
    return sorted(text for _, text in _comments(parsed) if text)


def _anchors(
    node: Collection, within: tuple[Collection, ...], owners: tuple[Item | None, ...]
) -> Iterator[_Anchor]:
    within = (*within, node)
    owners = owners or (None,)
    for item in node.items:
        column = node.indent if node.is_list and not node.is_flow else item.at[1]
        yield _Anchor(item=item, column=column, within=within, owners=owners)
        if isinstance(item.value, Collection):
            yield from _anchors(item.value, within, (*owners, item))


def _comments(parsed: Parsed) -> Iterator[tuple[At, str]]:
    """Yield place and text of each comment, and of each blank line with an empty text."""
    by_line: dict[int, list[ScalarSpan]] = {}
    for span in parsed.spans:
        for line in range(span.start[0], span.end[0] + 1):
            by_line.setdefault(line, []).append(span)
    for number, text in enumerate(parsed.lines[:-1] if parsed.lines[-1] == "" else parsed.lines):
        covered = [_covered(span, number, len(text)) for span in by_line.get(number, ())]
        if not text.strip() and not covered:
            yield (number, 0), ""
        for column, character in enumerate(text):
            if character == "#" and not any(start <= column < end for start, end in covered):
                yield (number, column), text[column:].rstrip()
                break


def _covered(span: ScalarSpan, line: int, width: int) -> tuple[int, int]:
    start = span.start[1] if line == span.start[0] else 0
    if span.header_end is not None:
        return (start, span.header_end[1]) if line == span.start[0] else (0, width)
    return start, span.end[1] if line == span.end[0] else width


@dataclass(slots=True, kw_only=True)
class _CommentPlacer:
    lines: tuple[str, ...]
    root: Collection
    anchors: list[_Anchor]
    comments: list[tuple[At, str]]
    blank: At | None = None
    """A blank line that has not been given to anything yet."""

    def run(self) -> None:
        for at, text in self.comments:
            if self.blank is not None:
                between = self.lines[self.blank[0] + 1 : at[0] + 1]
                if any(line.strip() and not line.lstrip().startswith("#") for line in between):
                    self._give_blank(self.blank)
            if not text:
                self.blank = at
            elif not self.lines[at[0]][: at[1]].strip():
                target = self._target(at)
                target += [text] if self.blank is None else ["", text]
                self.blank = None
            else:
                self._beside(at, text)
        if self.blank is not None:
            self._give_blank(self.blank)

    def _give_blank(self, at: At) -> None:
        """A blank line goes before the item of the next line, if one stands there."""
        following = self._below(at[0])
        if following is not None and not any(
            node.is_flow and node.start < at < node.end for node in following.within
        ):
            following.item.before.append("")
        self.blank = None

    def _below(self, line: int) -> _Anchor | None:
        return next((anchor for anchor in self.anchors if anchor.item.at[0] > line), None)

    def _before(self, at: At) -> _Anchor | None:
        # The anchors stand in the order of the text.
        return next((anchor for anchor in reversed(self.anchors) if anchor.item.at < at), None)

    def _target(self, at: At) -> list[str]:
        """Return the comments that one on a line of its own is added to."""
        previous, following = self._before(at), self._below(at[0])
        # The innermost flow collection that the place is in, and the item whose value it is.
        around: list[tuple[Collection, Item | None]] = [
            (value, anchor.item)
            for anchor in self.anchors
            if isinstance(value := anchor.item.value, Collection)
        ]
        flows = [one for one in ((self.root, None), *around) if one[0].is_flow]
        flows = [one for one in flows if one[0].start < at < one[0].end]
        if flows:
            node, owner = flows[-1]
            if following is not None and following.item.at < node.end:
                return following.item.before
            return node.after if node.items or owner is None else owner.before
        ending = () if previous is None else previous.within
        if following is not None:
            ending = tuple(node for node in ending if node not in following.within)
            if at[1] <= following.column:
                return following.item.before
        blocks = [node for node in ending if not node.is_flow and node.indent <= at[1]]
        if blocks:
            return blocks[-1].after
        return self.root.after if following is None else following.item.before

    def _beside(self, at: At, text: str) -> None:
        lead = self.lines[at[0]][: at[1]].strip()
        previous = self._before(at)
        item = previous.item if previous else None
        # Of a flow collection that has ended, its owner.
        for node, owner in zip(previous.within, previous.owners, strict=True) if previous else ():
            if node.is_flow and node.end <= at:
                item = owner
                break
        following = next((anchor.item for anchor in self.anchors if anchor.item.at > at), None)
        if (item is None or set(lead) <= {"-", " ", "?"}) and following is not None:
            following.before.append(text)
        elif item is None:
            self.root.after.append(text)
        elif item.beside:
            item.before.append(text)
        else:
            item.beside, item.column = text, at[1]


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


@dataclass(slots=True, kw_only=True)
class Collection:
    is_list: bool
    is_flow: bool
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
    start: At
    end: At
    header_end: At | None = None
    """Of a block scalar: where its header ends; a comment may follow on that line."""


@dataclass(slots=True, kw_only=True)
class Builder:
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
