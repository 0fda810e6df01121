"""The recipe against `schemas/recipe.schema.json`: structure, types and ranges, in plain words.

The schema is the table of keys; this module holds none. Besides JSON Schema's own words it reads annotations:

    x-expects        what a value must be, in words
    x-default        what absence means where no constant can say it
    x-aliases        names that other tools give the same key, or one value of it, `NAME: VALUE`
    x-partial        a mapping that says only what it changes of another: what is absent has no default
    x-path, x-whole  a local path, and a mapping that is replaced whole (`engine.recipe.text.extends`)
    x-sends          rows, or a key, go to a server: with `x-path`, a test asks whether `engine.recipe.outside` knows it
    x-area           what the key decides: gate, task, data, model, export, report; else nothing
    x-weaker         the direction in which a change weakens the evidence, a value of `Weaker`
    x-finding        the code of the finding, such as W101; none where a function of `engine.review` names it
    x-finding-gone   the code where the key is gone, if it is another one

The last four, at a mapping or a list, hold for the keys inside, unless they say otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import EnvironmentProblem, Problem
from engine.evidence.review import Area
from engine.recipe.patterns import schema_at, validator
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import did_you_mean, nearest
from engine.recipe.validation.schema_errors import hint_for_type, schema_errors
from engine.values import Value, replace

if TYPE_CHECKING:
    from jsonschema.validators import Draft202012Validator


class Weaker(StrEnum):
    """The direction in which a key weakens evidence."""

    NEVER = "never"
    """No change of it says anything about the evidence."""
    LOWER = "lower"
    """A lower number, or none."""
    HIGHER = "higher"
    """A higher number, or none."""
    FEWER = "fewer"
    """A lower number of rows, of which 0 or none stands for all."""
    RELAXED = "relaxed"
    """An action further down in `ORDER`."""
    OFF = "off"
    """No longer true."""
    ON = "on"
    """True now."""
    CHANGED = "changed"
    """Any change."""
    REVIEWED = "reviewed"
    """A function of `engine.review` decides."""


class Weakening(Value):
    area: Area = Area.NOTHING
    weaker: Weaker | None = None
    """None for a section, whose keys say it each."""
    code: str = ""
    """Of the finding; empty where a function names it, or nothing is found."""
    gone: str = ""
    """Of the finding where the key is gone; as `code` where empty."""


ORDER: Final = ("fail", "drop", "mask", "warn", "off")
"""Actions of a check, the strictest first: refuse, leave out, hide, tell, do not look."""


@lru_cache(maxsize=1)
def weakenings() -> Mapping[str, Weakening]:
    """Return what the schema says of each key; `[]` is an item of a list, `*` a name that the user gives."""
    return dict(_below(recipe_schema(), "", Weakening()))


def _below(schema: Schema, form: str, above: Weakening) -> Iterator[tuple[str, Weakening]]:
    for name, child in children(schema):
        expanded = expand(child)
        inside = form + name if name == "[]" else f"{form}.{name}".lstrip(".")
        own = _own(expanded, above)
        if own.weaker is not None:
            yield inside, own
        yield from _below(expanded, inside, own)


def _own(schema: Schema, above: Weakening) -> Weakening:
    area = Area(schema.get("x-area", above.area))
    if "x-weaker" not in schema:
        return replace(above, area=area)
    return Weakening(
        area=area,
        weaker=Weaker(schema["x-weaker"]),
        code=schema.get("x-finding", ""),
        gone=schema.get("x-finding-gone", ""),
    )


_PACKAGE = Path(__file__).resolve().parents[2]


def schema_text(name: str) -> str:
    return (_folder("schemas") / name).read_text(encoding="utf-8")


def recipes_dir() -> Path:
    return _folder("recipes")


def _folder(name: str) -> Path:
    for folder in (_PACKAGE / f"_{name}", _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise EnvironmentProblem.one(
        "E702",
        f"the installation lacks its `{name}` folder",
        hint="install it again, from a clone of its repository: uv tool install --reinstall .",
    )


Schema = Mapping[str, Any]

MOST_KEYS_LISTED: Final = 14
MOST_HINTS: Final = 100
"""Mistakes that get a hint: to look for the key that was meant takes 10 ms."""


@lru_cache(maxsize=1)
def recipe_schema() -> Schema:
    schema: Schema = json.loads(schema_text("recipe.schema.json"))
    return schema


def expand(schema: Schema, root: Schema | None = None) -> Schema:
    """Return `schema` with its `$ref` replaced by what it names; words beside the reference win. Do not change it.

    `root` is the schema that references are into, by default that of recipes.
    """
    reference = schema.get("$ref")
    if reference is None:
        return schema
    beside = {word: value for word, value in schema.items() if word != "$ref"}
    named = _named(reference) if root is None else expand(schema_at(root, reference), root)
    return {**named, **beside} if beside else named


@lru_cache(maxsize=1024)
def _named(reference: str) -> Schema:
    return expand(schema_at(recipe_schema(), reference))


def definition(name: str) -> Schema:
    found: Schema = recipe_schema()["$defs"][name]
    return found


def forms(expanded: Schema) -> Iterator[Schema]:
    for form in map(expand, expanded.get("oneOf", ())):
        if "properties" in form:
            yield form


def children(expanded: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield what a schema holds, by name: its keys, `[]` for an item of a list, `*` for a name that the user gives."""
    for part in (expanded, *forms(expanded)):
        yield from part.get("properties", {}).items()
    if isinstance(expanded.get("items"), dict):
        yield "[]", expanded["items"]
    if isinstance(expanded.get("additionalProperties"), dict):
        yield "*", expanded["additionalProperties"]


def walk(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield every key that the schema knows, as (path, expanded schema), with the names of `children`."""
    expanded = expand(schema)
    if path:
        yield path, expanded
    for name, below in children(expanded):
        yield from walk(below, (*path, name))


def with_defaults(value: Any, schema: Schema | None = None) -> Any:
    """Return `value`, which may be broken, with every constant default of the schema filled in, at every depth."""
    expanded = expand(recipe_schema() if schema is None else schema)
    if isinstance(value, Mapping):
        form = next(forms(expanded), expanded)
        properties, other = form.get("properties", {}), form.get("additionalProperties")
        filled: dict[str, Any] = {}
        for name, below in properties.items():
            if name in value:
                filled[name] = with_defaults(value[name], below)
            elif "default" in (wanted := expand(below)) and not form.get("x-partial"):
                filled[name] = with_defaults(wanted["default"], below)
        for name, given in value.items():
            if name not in properties:
                filled[name] = with_defaults(given, other) if isinstance(other, dict) else given
        return filled
    if isinstance(value, list) and isinstance(expanded.get("items"), dict):
        return [with_defaults(item, expanded["items"]) for item in value]
    return value


@lru_cache(maxsize=1)
def _validator() -> Draft202012Validator:
    return validator(recipe_schema())


def check_structure(source: SourceText, schema: Schema | None = None) -> tuple[Problem, ...]:
    """Return every way in which the file is not what a schema without `$ref`, or for None the recipe's, says."""
    found: dict[tuple[str, KeyPath], Problem] = {}
    checked = _validator() if schema is None else validator(schema)
    for violation in checked.iter_errors(source.value):
        for error in schema_errors(violation):
            # Of a value that could not be read, nothing more is reported.
            if not any(
                error.path[:length] in source.broken for length in (range(1, len(error.path) + 1))
            ):
                known = None if len(found) > MOST_HINTS else schema or recipe_schema()
                hint = error.hint
                if error.code == "R104" and known is not None:
                    hint = _hint_for_unknown(error.path, error.known, known)
                elif error.code == "R106":
                    hint = hint or hint_for_type(error, source, expand)
                found.setdefault(
                    (error.code, error.path),
                    source.problem(
                        error.code, error.message, at=error.path, key=error.at_key, hint=hint
                    ),
                )
    # Of a value of the wrong type, its range and form say nothing new.
    mistyped = {path for code, path in found if code == "R106"}
    return tuple(
        problem for (code, path), problem in found.items() if code == "R106" or path not in mistyped
    )


def _hint_for_unknown(path: KeyPath, known: Schema, schema: Schema) -> str | None:
    name = str(path[-1])
    by_alias = [one for key, below in known.items() for one in _meant(name, key, expand(below))]
    elsewhere = _sections_with(name, schema)
    if not by_alias and not elsewhere:
        found = {
            path: one
            for path, expanded in walk(schema)
            # deeper ones have common words, such as `count`
            if _can_be_named(path) and len(path) == 2
            for one in _meant(name, ".".join(path), expanded)
        }
        by_alias = list(found.values()) if len(found) == 1 else []
    near = by_alias[0] if by_alias else nearest(name, known)
    if near is not None:
        return did_you_mean(near)
    if len(elsewhere) == 1:
        return f"it belongs under `{elsewhere[0]}`"
    if 0 < len(known) <= MOST_KEYS_LISTED:
        return f"keys here are {', '.join(known)}"
    return None


def _meant(name: str, key: str, expanded: Schema) -> Iterator[str]:
    """Yield a key, or one with its value, to which another tool gives that name; a list of values has those of each."""
    items = expanded.get("items")
    own: list[str] = expanded.get("x-aliases", [])
    for alias in own or (expand(items).get("x-aliases", []) if isinstance(items, Mapping) else []):
        known, _, value = alias.partition(": ")
        if name == known:
            yield f"{key}: {value}" if value else key


def _can_be_named(path: tuple[str, ...]) -> bool:
    return len(path) > 1 and "[]" not in path and "*" not in path


def _sections_with(name: str, schema: Schema) -> list[str]:
    """Return the sections that have a key of that name; the outermost ones, where some lie deeper."""
    found = [path[:-1] for path, _ in walk(schema) if path[-1] == name and _can_be_named(path)]
    depth = min(map(len, found), default=0)
    return [".".join(path) for path in found if len(path) == depth]
