"""The layout of a recipe: block style, one fact a line, keys in the schema's order."""

from collections.abc import Iterator, Sequence
from typing import Final

from engine.errors import EngineError
from engine.recipe.text.layout_tree import Collection, Item, Node, Scalar, attach, parse
from engine.recipe.text.source import SourceText, parse_source
from engine.recipe.validation.schema import Schema, children, expand, recipe_schema

WIDTH: Final = 100
_STEP: Final = 2


def formatted(text: str, source: SourceText) -> str:
    """Return `text`, the text of `source`, in the layout; comments stay. RecipeError for YAML that is no recipe."""
    parsed = parse(text)
    if not isinstance(root := parsed.root, Collection):
        return text
    attach(root, parsed)
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = (line if line.strip() else line.rstrip(" ") for line in _file(root))
    result = "".join(line + ending for line in lines)
    again = parse_source(result.encode(), source.path)
    if again.value != source.value or parse(result).texts != parsed.texts:
        raise EngineError.one("I902", f"formatting `{source.file}` would change what it says")
    return result


def _file(root: Collection) -> Iterator[str]:
    """Yield the lines of a file: comments for the complete file stay at its top."""
    first = min(root.items, key=lambda item: item.at, default=None)
    before = first.before if first else []
    while before and not before[0]:
        before.pop(0)
    header: list[str] = []
    if "" in before:
        header = before[: len(before) - 1 - before[::-1].index("")]
    elif any("yaml-language-server" in line for line in before):
        header = list(before)
    del before[: len(header)]
    while header and not header[-1]:
        header.pop()
    had_gap = bool(before) and not before[0]
    body = _block(root, 0, recipe_schema())
    yield from header
    if header and had_gap and (not body or body[0]):
        yield ""
    yield from body


def _block(node: Collection, indent: int, schema: Schema) -> list[str]:
    lines: list[str] = []
    for item in _ordered(node, schema):
        below = _below(item, schema)
        before = list(item.before)
        head, rest = _entry(item, indent, below, before, is_section=indent == 0)
        while before and not before[0] and not lines:
            before.pop(0)
        lines += [" " * indent + text if text else "" for text in _once(before)]
        lines += [head, *rest]
    return lines + [" " * indent + text if text else "" for text in _once(node.after)]


def _once(texts: Sequence[str]) -> Iterator[str]:
    blank = False
    for text in texts:
        if text or not blank:
            yield text
        blank = not text


def _ordered(node: Collection, schema: Schema) -> list[Item]:
    if node.is_list:
        return node.items
    known = {name: place for place, name in enumerate(dict(children(schema)))}
    return sorted(node.items, key=lambda item: known.get(_name(item), len(known)))


def _name(item: Item) -> str:
    return item.key.lines[0].strip("\"'") if item.key and item.key.lines else ""


def _below(item: Item, schema: Schema) -> Schema:
    below = dict(children(schema))
    name = "[]" if item.key is None else _name(item)
    return expand(below.get(name, below.get("*", {})))


def _entry(
    item: Item, indent: int, schema: Schema, before: list[str], *, is_section: bool
) -> tuple[str, list[str]]:
    margin = " " * indent
    prefix = margin + ("-" if item.key is None else f"{' '.join(item.key.lines)}:")
    value = item.value
    if isinstance(value, Scalar):
        return _scalar(item, value, prefix, indent)
    text = _flow(value, len(prefix) + 1, is_section=is_section)
    if text is not None:
        return _with_comment(f"{prefix} {text}", item), []
    if item.key is None and item.beside:
        first = _ordered(value, schema)[0]
        if first.beside:
            before.append(item.beside)
        else:
            first.beside, first.column = item.beside, item.column
    rest = _block(value, indent + _STEP, schema)
    if item.key is not None:
        return _with_comment(prefix, item), rest
    while not rest[0] or rest[0].lstrip().startswith("#"):
        before.append(rest.pop(0).strip())
    return margin + "- " + rest[0][indent + _STEP :], rest[1:]


def _scalar(item: Item, value: Scalar, prefix: str, indent: int) -> tuple[str, list[str]]:
    margin = " " * (indent + _STEP)
    if value.header:
        # Without an indicator, blanks before the first text are read as indentation.
        first = next((line for line in value.lines if line.strip(" ")), "")
        blank = [line for line in value.lines if not line.strip(" ")]
        indicator = str(_STEP) if any(line.startswith(" ") for line in (first, *blank)) else ""
        head = f"{prefix} {value.header[0]}{indicator}{value.header[1:]}"
        body = [
            margin + line if line.strip(" ") else line and margin + line for line in value.lines
        ]
        return _with_comment(head, item), body
    if not value.lines:
        return _with_comment(prefix, item), []
    first, *rest = value.lines
    lines = [f"{prefix} {first}", *(margin + line if line else "" for line in rest)]
    lines[-1] = _with_comment(lines[-1], item)
    return lines[0], lines[1:]


def _with_comment(line: str, item: Item) -> str:
    """Return a line with its comment: in the column that it had, if that is still free."""
    if not item.beside:
        return line
    gap = max(_STEP, item.column - len(line))
    return f"{line}{' ' * gap}{item.beside}"


def _flow(node: Collection, column: int, *, is_section: bool) -> str | None:
    if not node.items:
        return "[]" if node.is_list else "{}"
    if not node.is_flow or not _is_one_fact(node) or (is_section and not node.is_list):
        return None
    text = _inline(node)
    return text if column + len(text) <= WIDTH else None


def _is_one_fact(node: Node) -> bool:
    """Return whether a node is a list of words or numbers, or one key with a word, a number or such a list."""
    if isinstance(node, Scalar):
        return len(node.lines) <= 1 and not node.header
    values = [item.value for item in node.items]
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
        return f"[{', '.join(_inline(item.value) for item in node.items)}]"
    pairs = (
        f"{' '.join(item.key.lines) if item.key else ''}: {_inline(item.value)}".rstrip(" ")
        for item in node.items
    )
    return "{" + ", ".join(pairs) + "}"
