"""`schemas/recipe.schema.json`, the table of keys: how it is read and walked, and its defaults.

In addition to JSON Schema's keywords it has annotations:

    x-expects        in words, what a value must be
    x-default        in words, the default where no constant can express it
    x-aliases        names that other tools have for the key, or for one value of it, `NAME: VALUE`
    x-partial        a mapping of changes to another one: absent keys have no default
    x-path, x-whole  a local path, and a mapping that is replaced as a unit (`engine.recipe.text.extends`)
    x-sends          rows or a key go to a server: like `x-path`, a test checks that `engine.recipe.outside` knows it
    x-area           what the key decides: gate, task, data, model, export, report; else nothing
    x-weaker         the direction in which a change weakens the evidence, a value of `Weaker`
    x-finding        the code of the finding, such as W101; none where a function of `engine.review` names it
    x-finding-gone   the code if the key is deleted, when it is another one

At a mapping or a list, the last four also hold for the keys inside that do not have their own.
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from engine.errors import EnvironmentProblem
from engine.evidence.review import Area
from engine.recipe.patterns import schema_at
from engine.values import Value, replace


class Weaker(StrEnum):
    """The direction in which a key weakens evidence."""

    NEVER = "never"
    """No change of it affects the evidence."""
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
    """None for a section, whose keys have their own."""
    code: str = ""
    """Code of the finding; empty if a function names it, or there is none."""
    gone: str = ""
    """Code of the finding for a deleted key; empty if it is `code`."""


ORDER: Final = ("fail", "drop", "mask", "warn", "off")
"""Actions of a check, the strictest first."""


@cache
def weakenings() -> Mapping[str, Weakening]:
    """Return the annotations of each key; `[]` is an item of a list, `*` a name that the user gives."""
    known: dict[tuple[str, ...], Weakening] = {(): Weakening()}
    for path, schema in walk(recipe_schema()):
        above = known[path[:-1]]
        known[path] = replace(above, area=Area(schema.get("x-area", above.area)))
        if "x-weaker" in schema:
            known[path] = Weakening(
                area=known[path].area,
                weaker=Weaker(schema["x-weaker"]),
                code=schema.get("x-finding", ""),
                gone=schema.get("x-finding-gone", ""),
            )
    return {
        ".".join(path).replace(".[]", "[]"): weakening
        for path, weakening in known.items()
        if weakening.weaker is not None
    }


Schema = Mapping[str, Any]
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


@cache
def recipe_schema() -> Schema:
    schema: Schema = json.loads(schema_text("recipe.schema.json"))
    return schema


def expand(schema: Schema, root: Schema | None = None) -> Schema:
    """Return `schema` with its `$ref` replaced by the definition, over which its own keywords win. Do not change it.

    `root` is the schema that has the definitions, by default that of recipes.
    """
    reference = schema.get("$ref")
    if reference is None:
        return schema
    own = {word: value for word, value in schema.items() if word != "$ref"}
    named = _named(reference) if root is None else expand(schema_at(root, reference), root)
    return {**named, **own} if own else named


@cache
def _named(reference: str) -> Schema:
    return expand(schema_at(recipe_schema(), reference))


def definition(name: str) -> Schema:
    schema: Schema = recipe_schema()["$defs"][name]
    return schema


def forms(expanded: Schema) -> Iterator[Schema]:
    for form in map(expand, expanded.get("oneOf", ())):
        if "properties" in form:
            yield form


def children(expanded: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the schemas inside, by name: keys, `[]` for an item of a list, `*` for a name that the user gives."""
    for part in (expanded, *forms(expanded)):
        yield from part.get("properties", {}).items()
    if isinstance(expanded.get("items"), dict):
        yield "[]", expanded["items"]
    if isinstance(expanded.get("additionalProperties"), dict):
        yield "*", expanded["additionalProperties"]


def walk(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield every key of the schema, as (path, expanded schema), with the names of `children`."""
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
        for name, part in value.items():
            if name not in properties:
                filled[name] = with_defaults(part, other) if isinstance(other, dict) else part
        return filled
    if isinstance(value, list) and isinstance(expanded.get("items"), dict):
        return [with_defaults(item, expanded["items"]) for item in value]
    return value
