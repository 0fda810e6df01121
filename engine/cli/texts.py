"""Recipes as texts: whether they are valid, how they are laid out, and what keys and codes mean."""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches, unified_diff
from pathlib import Path
from textwrap import indent
from typing import Final

from engine.backends import check_backend
from engine.cli.output import show, show_problems
from engine.cli.terminal import write
from engine.codes import all_codes, code_page
from engine.errors import EngineError, ExitCode, Problem, RecipeError, Severity
from engine.files.reading import parse_json
from engine.recipe import check_recipe
from engine.recipe.outside import refuse_leading_out
from engine.recipe.resolve import as_parent, check_parent, parents_among
from engine.recipe.text.extends import placed
from engine.recipe.text.layout_edit import rewrite
from engine.recipe.text.layout_format import formatted
from engine.recipe.text.paths import absolute, as_typed
from engine.recipe.text.source import decode, parse_source, read_bytes
from engine.recipe.validation.schema import Schema, expand, schema_text
from engine.trust.access import NOTHING


def validate(options: argparse.Namespace) -> int:
    problems: list[Problem] = []
    lines: list[str] = []
    named = parents_among(options.recipes)
    for path in options.recipes:
        is_parent = options.parent or absolute(str(path), Path.cwd()) in named
        found, line = _check_parent(path) if is_parent else _check(path)
        problems += found
        lines.append(line)
    as_json = options.format == "json"
    show_problems(problems, as_json=as_json, source=str(options.recipes[0]) if as_json else "")
    if not as_json and (line := "\n".join(filter(None, lines))):
        show(line)
    return ExitCode.USAGE if _is_wrong(problems) else ExitCode.ACCEPTED


def _check(path: Path) -> tuple[tuple[Problem, ...], str]:
    recipe, found = check_recipe(path)
    if recipe is not None:
        found = (*found, *placed(check_backend(recipe), path))
        return found, "" if _is_wrong(found) else f"{path}: valid"
    parent, line = as_parent(found), ""
    if parent.is_sound and parent.left_open:
        line = (
            f"{path}: nothing is wrong with what it says; it is incomplete, as the parent of other recipes "
            f"may be: recipe validate --parent {as_typed(path)}"
        )
    return found, line


def _check_parent(path: Path) -> tuple[tuple[Problem, ...], str]:
    parent = check_parent(path)
    if not parent.is_sound:
        return parent.problems, ""
    left = f"; it leaves open {', '.join(parent.left_open)}" if parent.left_open else ""
    return parent.problems, f"{path}: valid as a parent{left}"


def _is_wrong(problems: Iterable[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)


STDIN = Path("-")


def fmt(options: argparse.Namespace) -> int:
    """Return 0 when every file is, or now is, as it should be; 1 when `--check` finds another.

    2 where one is no recipe, 3 where one cannot be written.
    """
    problems: list[Problem] = []
    changed: list[Path] = []
    code = ExitCode.ACCEPTED
    for path in options.recipes:
        try:
            changed += [path] if _format(path, options) else []
        except EngineError as error:
            problems += error.problems
            code = max(code, error.exit_code)
    show_problems(problems)
    if options.recipes != [STDIN] and not options.diff:
        for path in changed:
            show(f"{'would format' if options.check else 'formatted'} {path}")
        if not changed and not problems:
            count = len(options.recipes)
            right = "1 file is" if count == 1 else f"{count} files are"
            show(f"{right} as {'it' if count == 1 else 'they'} should be")
    if problems:
        return code
    return ExitCode.REFUSED if options.check and changed else ExitCode.ACCEPTED


def _format(path: Path, options: argparse.Namespace) -> bool:
    """Format one file; tell whether that changes it. RecipeError where it cannot be read."""
    # A mistake is shown with the line that it is in.
    refuse_leading_out(path, NOTHING)
    content = sys.stdin.buffer.read() if path == STDIN else read_bytes(path)
    source, old = parse_source(content, path), decode(content, str(path))
    if source.problems:
        raise RecipeError(source.problems)
    new = formatted(old, source)
    if options.diff:
        lines = unified_diff(old.splitlines(), new.splitlines(), str(path), str(path), lineterm="")
        if text := "\n".join(lines):
            show(text)
    elif path == STDIN and not options.check:
        write(new)
    # By bytes: a byte order mark is in the content and no longer in `old`.
    elif new.encode() != content and not options.check:
        rewrite(path, new)
    return new.encode() != content


_ITEM: Final = re.compile(r"\.?\[[0-9]*\]")
"""An item of a list, as messages and reviews name it: a key is the same in each."""


def schema(options: argparse.Namespace) -> None:
    text = schema_text("recipe-part.schema.json" if options.part else "recipe.schema.json")
    show(_explained(options.key, parse_json(text)) if options.key else text)


def _explained(key: str, root: Schema) -> str:
    node = root
    walked: list[str] = []
    is_own_name = False
    for part in _ITEM.sub("", key).split("."):
        found = _children(node, root)
        own = next(_values_of_own_names(node, root), None)
        if part in found:
            node, is_own_name = expand(found[part], root), False
        elif own is not None:
            node, is_own_name = own, True
        elif not is_own_name:  # such a name may hold points: `f1.billing`
            raise _unknown(part, walked, list(found))
        walked.append(part)
    return "\n".join(_key_lines(key, node, root))


def _unknown(part: str, walked: list[str], known: list[str]) -> RecipeError:
    near = get_close_matches(part, known, 1)
    where = f"`{'.'.join(walked)}`" if walked else "a recipe"
    keys = f"keys there: {', '.join(known)}" if known else None
    hint = f"did you mean `{near[0]}`?" if near else keys
    return RecipeError.one("R104", f"{where} has no key `{part}`", hint=hint)


def _children(node: Schema, root: Schema) -> dict[str, Schema]:
    node = expand(node, root)
    found: dict[str, Schema] = dict(node.get("properties", {}))
    for part in _parts(node):
        for name, child in _children(part, root).items():
            found.setdefault(name, child)
    return found


def _parts(node: Schema) -> list[Schema]:
    parts = [*node.get("oneOf", []), *node.get("anyOf", []), *node.get("allOf", [])]
    return [*parts, *([node["items"]] if "items" in node else [])]


def _values_of_own_names(node: Schema, root: Schema) -> Iterator[Schema]:
    node = expand(node, root)
    if isinstance(node.get("additionalProperties"), dict):
        yield expand(node["additionalProperties"], root)
    for part in _parts(node):
        yield from _values_of_own_names(part, root)


def _key_lines(key: str, node: Schema, root: Schema) -> list[str]:
    lines = [f"{key}", f"  {node.get('description', 'no description')}"]
    if "enum" in node:
        lines.append(f"  one of: {', '.join(json.dumps(value) for value in node['enum'])}")
    if "default" in node:
        lines.append(f"  default: {json.dumps(node['default'], ensure_ascii=False)}")
    elif "x-default" in node:
        lines.append(f"  default: {node['x-default']}")
    examples = node.get("examples", [])[:2]
    lines += [f"  example: {json.dumps(value, ensure_ascii=False)}" for value in examples]
    children = _children(node, root)
    if children:
        lines.append(f"  keys: {', '.join(children)}")
    return lines


def explain(options: argparse.Namespace) -> None:
    if not options.code:
        show("\n".join(f"{code}  {page.title}" for code, page in all_codes().items()))
        return
    if options.code == "skill":
        show(skill())
        return
    page = code_page(options.code)
    if page is None:
        near = get_close_matches(options.code.upper(), list(all_codes()), 3)
        hint = f"near: {', '.join(near)}" if near else "recipe explain lists all codes"
        raise RecipeError.one("R003", f"there is no code `{options.code}`", hint=hint)
    show(f"{options.code.upper()}  {page.title}\n\n{page.why}\n\nfix: {page.fix}")
    if page.wrong:
        parts = (page.wrong.replace("▸", ""), page.right)
        wrong, right = (indent(part, "  ") for part in parts)
        show(f"\nwrong:\n\n{wrong}\n\nright:\n\n{right}")


def skill() -> str:
    return Path(__file__).with_name("SKILL.md").read_text(encoding="utf-8")
