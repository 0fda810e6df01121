"""YAML events to plain data with places, by the rules of strict recipes; and plain data to text.

Numbers and booleans as in YAML 1.2 (`2e-4` is a number, `no` is text), and a subset of YAML that every reader
understands in the same way: no anchors, aliases, merge keys, tags, directives or second documents. Every refusal is
collected; only what makes the rest unreadable ends the reading.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from engine.errors import Place, Problem, RecipeError
from engine.recipe.model import Json
from engine.values import Value, to_json

Event = Any
"""One of PyYAML's parser events, which share no useful type."""

KeyPath = tuple[str | int, ...]
"""Keys and list positions (from 0) from the top of the file to one value."""

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 20_000
"""The largest list of the schema takes 1,000; rules and comparisons look at pairs of values."""
MAX_WHOLE: Final = 2**63
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
# Not yes, no, on and off as in YAML 1.1: people use those as labels.
_BOOLEAN = {"true": True, "false": False}
# No leading zeros: YAML 1.1 reads `012` as octal, that is 10. Here it is text.
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z", re.ASCII)
# With an exponent alone too: PyYAML takes `2e-4` for text, since YAML 1.1 wants a dot and a sign.
_REAL = re.compile(
    r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", re.ASCII
)
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
UNWANTED: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
"""Control and text-direction characters: nobody sees them, so nobody reviews them."""


class SourceSpan(Value):
    line: int
    column: int
    width: int = 1


def dotted(path: KeyPath) -> str:
    """Return `data.sources[0].file` for ("data", "sources", 0, "file")."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return visible(text)


def visible(text: str) -> str:
    return UNWANTED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def plain_value(text: str) -> Json:
    """Return the value of an unquoted scalar; OverflowError where no finite number can hold it."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _NOT_FINITE.match(text):
        raise OverflowError(text)
    if _WHOLE.match(text):
        # A number of a million digits would take seconds to convert, and be too large anyway.
        number: int | float = int(text) if len(text) < len(str(MAX_WHOLE)) + 2 else MAX_WHOLE + 1
    elif _REAL.match(text):
        number = float(text)
    else:
        return text
    if abs(number) > MAX_WHOLE:
        raise OverflowError(text)
    return number


def is_plain_text(text: str) -> bool:
    try:
        return isinstance(plain_value(text), str)
    except OverflowError:
        return False


@dataclass(slots=True, kw_only=True)
class Composer:
    """Builder of plain data from parser events; it records places, and what strict recipes forbid."""

    file: str
    lines: tuple[str, ...]
    keys: dict[KeyPath, SourceSpan] = field(default_factory=dict)
    values: dict[KeyPath, SourceSpan] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[KeyPath] = field(default_factory=set)

    def document(self, events: Iterable[Event]) -> Json:
        stream = iter(events)
        next(stream)
        start = next(stream)
        if isinstance(start, yaml.StreamEndEvent):
            return None
        if start.version is not None or start.tags:
            self._refuse("R119", "directives (%YAML, %TAG) are not part of recipes", start, ())
        value = self._value(next(stream), stream, ())
        next(stream)
        after = next(stream)
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse("R119", "a second document starts here; a recipe is one", after, ())
        return value

    def _value(self, event: Event, stream: Iterator[Event], path: KeyPath) -> Json:
        self.values[path] = self._span(event)
        if len(self.values) > MAX_VALUES:
            self._refuse("R405", f"more than {MAX_VALUES:,} values", event, path)
            raise RecipeError(self.problems)
        # A few hundred bytes of aliases become megabytes as soon as something walks through them.
        if isinstance(event, yaml.AliasEvent):
            self._refuse("R117", f"alias `*{event.anchor}` is not part of recipes", event, path)
            return None
        self._refuse_extras(event, path)
        if isinstance(event, yaml.ScalarEvent):
            text: str = event.value
            if not event.implicit[0]:
                return text
            self.written[path] = text
            try:
                return plain_value(text)
            except OverflowError:
                message = f"`{text[:40]}` is not a finite number of usual size"
                self._refuse("R121", message, event, path)
                return None
        # Ends the reading: Python's own stack would be the next limit.
        if len(path) >= MAX_DEPTH:
            self._refuse("R116", f"nested more than {MAX_DEPTH} levels deep", event, path)
            raise RecipeError(self.problems)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Json] = []
            while not isinstance(event := next(stream), yaml.SequenceEndEvent):
                items.append(self._value(event, stream, (*path, len(items))))
            return items
        return self._mapping(stream, path)

    def _mapping(self, stream: Iterator[Event], path: KeyPath) -> dict[str, Json]:
        mapping: dict[str, Json] = {}
        before: Event | None = None
        while not isinstance(event := next(stream), yaml.MappingEndEvent):
            name = self._key(event, path, before)
            at = (*path, name)
            if at in self.keys:
                # Nothing in the second one is reported as well.
                first = self.keys[at].line
                self._refuse("R101", f"duplicate key (first at line {first})", event, at)
                self._skip(next(stream), stream)
                continue
            self.keys[at] = self._span(event)
            before = next(stream)
            mapping[name] = self._value(before, stream, at)
        return mapping

    def _key(self, event: Event, path: KeyPath, before: Event | None) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse("R120", "a key must be text", event, path)
            raise RecipeError(self.problems)
        name: str = event.value
        at = (*path, name)
        self._refuse_extras(event, at)
        # Quotes make any key a text.
        if not event.implicit[0]:
            return name
        if name == "<<":
            self._refuse("R117", "merge key `<<` is not part of recipes", event, at)
        elif not is_plain_text(name):
            hint = f'write it in quotes: "{name}"'
            cut = str(before.value) if isinstance(before, yaml.ScalarEvent) else ""
            # The comma in `{min: 0,5}` ends the value 0.
            start: Any = event.start_mark
            end: Any = before.end_mark if before is not None else None
            is_next = end is not None and end.index + 1 == start.index
            if is_next and cut.lstrip("-").isdigit() and name.isdigit():
                hint = f"write a decimal point: {cut}.{name}"
            self._refuse("R120", f"the key `{name}` must be text", event, at, hint=hint)
        return name

    @staticmethod
    def _skip(event: Event, stream: Iterator[Event]) -> None:
        """Read a value without keeping it."""
        depth = int(isinstance(event, yaml.CollectionStartEvent))
        while depth:
            event = next(stream)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)

    def _span(self, event: Event) -> SourceSpan:
        start, end = event.start_mark, event.end_mark
        is_block = isinstance(event, yaml.ScalarEvent) and event.style in ("|", ">")
        width = end.column - start.column if end.line == start.line and not is_block else 1
        return SourceSpan(line=start.line + 1, column=start.column + 1, width=max(1, width))

    def _refuse_extras(self, event: Event, path: KeyPath) -> None:
        if event.anchor is not None:
            self._refuse("R117", f"anchor `&{event.anchor}` is not part of recipes", event, path)
        if event.tag is not None:
            self._refuse("R118", f"tag `{event.tag}` is not part of recipes", event, path)

    def _refuse(
        self, code: str, message: str, event: Event, path: KeyPath, hint: str | None = None
    ) -> None:
        span = self._span(event)
        snippet = ((span.line, self.lines[span.line - 1]),)
        place = Place(file=self.file, **to_json(span), snippet=snippet)
        problem = Problem(code=code, message=message, path=dotted(path), hint=hint, place=place)
        self.problems.append(problem)
        self.broken.add(path)


_ANY_WIDTH: Final = 1 << 20
"""Wider than any value: PyYAML would break a long text into several lines."""


def dumped(value: object, **style: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, **style)
    return text


def spelled_in_flow(value: object) -> str:
    """Return a value as YAML for within braces or brackets, on one line."""
    if isinstance(value, Mapping):
        items = value.items()
        pairs = (f"{spelled_in_flow(key)}: {spelled_in_flow(below)}" for key, below in items)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(spelled_in_flow, value))}]"
    text = dumped([value], width=_ANY_WIDTH, default_flow_style=True).strip()[1:-1]
    is_single = isinstance(value, str) and text.startswith("'")
    return json.dumps(value, ensure_ascii=False) if is_single else text


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML decides by YAML 1.1: it would write `2e-4` without quotes, and the strict loader would read a number.
    style = None if is_plain_text(text) else '"'
    if "\n" in text:
        lines = text.removesuffix("\n").split("\n")
        is_block = all(line == line.strip() and line.isprintable() and line for line in lines)
        style = "|" if is_block else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)
