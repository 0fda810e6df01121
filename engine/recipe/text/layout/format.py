"""The one way to lay a recipe out: block style, one fact a line, keys in the schema's order.

Every scalar keeps its spelling (`0.80`, `"{text}"`), keys that the user names keep their order, and
every comment stays with what it speaks of. Formatting what is formatted changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.errors import EngineError, Problem
from engine.recipe.text.layout.comments import attach, comments_of
from engine.recipe.text.layout.tree import Collection, Entry, Node, Scalar, parse
from engine.recipe.text.source import SourceText, parse_source
from engine.recipe.validation.schema import Schema, expand, forms, recipe_schema

WIDTH: Final = 100
_STEP: Final = 2
_GAP: Final = 2
"""Blanks before a comment that ends a line."""
_MODELINE: Final = "yaml-language-server"
_NOTHING: Final[Schema] = {}


def formatted(text: str, source: SourceText) -> str:
    """Return `text`, the text of `source`, laid out; it says the same, and keeps every comment.

    RecipeError where the YAML is not a recipe's (a tag, a key that is there twice). What keys mean is
    not looked at.
    """
    parsed = parse(text)
    attach(parsed)
    lines = list(_file(parsed.root))
    ending = "\r\n" if "\r\n" in text else "\n"
    found = "".join(
        line.rstrip(" ") + ending if not line.strip() else line + ending for line in lines
    )
    _require_same(source, found, comments=comments_of(parsed))
    return found


def _require_same(source: SourceText, text: str, *, comments: list[str]) -> None:
    """A last check, on every call: what was read must be read again, or nothing is written."""
    again = parse_source(text.encode(), source.path)
    if again.value != source.value or comments_of(parse(text)) != comments:
        raise EngineError(
            Problem(code="I902", message=f"formatting `{source.file}` would change what it says")
        )


def _file(root: Collection) -> Iterator[str]:
    header, first = _header(root)
    if first is not None:
        first.before = first.before[len(header) :]
    while header and not header[-1]:
        header.pop()
    body = _block(root, 0, recipe_schema())
    had_gap = first is not None and bool(first.before) and not first.before[0]
    yield from header
    if header and had_gap and (not body or body[0]):
        yield ""
    yield from body


def _header(root: Collection) -> tuple[list[str], Entry | None]:
    """Return the comments that speak of the whole file, and the entry that they stand before."""
    if not root.entries:
        return [], None
    first = min(root.entries, key=lambda entry: entry.at)
    before = first.before
    while before and not before[0]:
        before.pop(0)
    if "" in before:
        last = len(before) - 1 - before[::-1].index("")
        return before[:last], first
    if any(_MODELINE in line for line in before):
        return list(before), first
    return [], first


def _block(node: Collection, indent: int, schema: Schema) -> list[str]:
    """Return the lines of a collection in block style."""
    lines: list[str] = []
    for entry in _ordered(node, schema):
        below = _below(entry, schema)
        before = list(entry.before)
        head, rest = _entry(entry, indent, below, before, is_section=indent == 0)
        while before and not before[0] and not lines:
            before.pop(0)
        lines += [" " * indent + text if text else "" for text in _once(before)]
        lines += [head, *rest]
    return lines + [" " * indent + text if text else "" for text in _once(node.after)]


def _once(texts: Sequence[str]) -> Iterator[str]:
    """Yield comments, with one blank line for several."""
    blank = False
    for text in texts:
        if text or not blank:
            yield text
        blank = not text


def _ordered(node: Collection, schema: Schema) -> list[Entry]:
    if node.is_list:
        return node.entries
    known = {name: place for place, name in enumerate(_properties(schema))}
    return sorted(node.entries, key=lambda entry: known.get(_name(entry), len(known)))


def _properties(schema: Schema) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for part in (schema, *forms(schema)):
        for name, below in part.get("properties", {}).items():
            found.setdefault(name, below)
    return found


def _name(entry: Entry) -> str:
    """Return the key as it is written, without quotes: enough to know a key of the schema."""
    return entry.key.lines[0].strip("\"'") if entry.key and entry.key.lines else ""


def _below(entry: Entry, schema: Schema) -> Schema:
    """Return the schema of an entry's value; nothing where the language is another one."""
    if entry.key is None:
        items = schema.get("items")
        return expand(items) if isinstance(items, dict) else _NOTHING
    properties = _properties(schema)
    found = properties.get(_name(entry), schema.get("additionalProperties"))
    return expand(found) if isinstance(found, dict) else _NOTHING


def _entry(
    entry: Entry, indent: int, schema: Schema, before: list[str], *, is_section: bool
) -> tuple[str, list[str]]:
    """Return the first line of an entry and those that follow; `before` may get more comments."""
    margin = " " * indent
    prefix = margin + ("-" if entry.key is None else f"{' '.join(entry.key.lines)}:")
    value = entry.value
    if isinstance(value, Scalar):
        return _scalar(entry, value, prefix, indent)
    text = _flow(value, len(prefix) + 1, is_section=is_section)
    if text is not None:
        return _with_comment(f"{prefix} {text}", entry), []
    if entry.key is None and entry.beside:
        _hand_down(entry, _ordered(value, schema)[0], before)
    rest = _block(value, indent + _STEP, schema)
    if entry.key is not None:
        return _with_comment(prefix, entry), rest
    while not rest[0] or rest[0].lstrip().startswith("#"):
        before.append(rest.pop(0).strip())
    return margin + "- " + rest[0][indent + _STEP :], rest[1:]


def _hand_down(entry: Entry, first: Entry, before: list[str]) -> None:
    """The comment of an item that is spread over lines ends the first of them, or comes before it."""
    if first.beside:
        before.append(entry.beside)
    else:
        first.beside, first.column = entry.beside, entry.column


def _scalar(entry: Entry, value: Scalar, prefix: str, indent: int) -> tuple[str, list[str]]:
    margin = " " * (indent + _STEP)
    if value.header:
        said = str(_STEP) if _needs_indent(value.lines) else ""
        head = f"{prefix} {value.header[0]}{said}{value.header[1:]}"
        body = [
            margin + line if line.strip(" ") else line and margin + line for line in value.lines
        ]
        return _with_comment(head, entry), body
    if not value.lines:
        return _with_comment(prefix, entry), []
    first, *rest = value.lines
    lines = [f"{prefix} {first}", *(margin + line if line else "" for line in rest)]
    lines[-1] = _with_comment(lines[-1], entry)
    return lines[0], lines[1:]


def _needs_indent(lines: Sequence[str]) -> bool:
    """Tell whether a block scalar must say its indentation: its first line would hide it."""
    first = next((line for line in lines if line.strip(" ")), "")
    return first.startswith(" ") or any(
        line.startswith(" ") for line in lines if not line.strip(" ")
    )


def _with_comment(line: str, entry: Entry) -> str:
    """Return a line with its comment: in the column where it stood, if that is still free."""
    if not entry.beside:
        return line
    gap = max(_GAP, entry.column - len(line))
    return f"{line}{' ' * gap}{entry.beside}"


def _flow(node: Collection, column: int, *, is_section: bool) -> str | None:
    """Return a collection on one line; None where it is more than one fact, or too long."""
    if not node.entries and not node.after:
        return "[]" if node.is_list else "{}"
    if not node.is_flow or not _is_one_fact(node) or (is_section and not node.is_list):
        return None
    text = _inline(node)
    return text if column + len(text) <= WIDTH else None


def _is_one_fact(node: Node) -> bool:
    """A list of words or numbers, or one key with a word, a number or such a list."""
    if isinstance(node, Scalar):
        return len(node.lines) <= 1 and not node.header
    if node.after or any(entry.before or entry.beside for entry in node.entries):
        return False
    values = [entry.value for entry in node.entries]
    if node.is_list:
        return all(isinstance(value, Scalar) and _is_one_fact(value) for value in values)
    return (
        len(values) <= 1
        and all(isinstance(value, Scalar) or (value.is_list and value.is_flow) for value in values)
        and all(map(_is_one_fact, values))
    )


def _inline(node: Node) -> str:
    if isinstance(node, Scalar):
        return node.lines[0] if node.lines else ""
    if node.is_list:
        return f"[{', '.join(_inline(entry.value) for entry in node.entries)}]"
    pairs = (
        f"{' '.join(entry.key.lines) if entry.key else ''}: {_inline(entry.value)}".rstrip(" ")
        for entry in node.entries
    )
    return "{" + ", ".join(pairs) + "}"
