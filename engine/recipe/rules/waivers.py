"""Rules about waivers, which name what a review can find, and about the name of a recipe with a parent."""

import re
from functools import lru_cache
from typing import Final

from engine.codes import all_codes
from engine.recipe.rules import Problems, rule
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema import recipe_schema, walk
from engine.recipe.validation.schema_errors import show


@rule("name")
def name_is_its_own(recipe: FilledText) -> Problems:
    if ("name",) in recipe.inherited:
        message = f"`{recipe['name']}` is the parent's name too: their runs would be mixed"
        hint = f"give `{recipe.file}` a `name:` of its own"
        yield recipe.warning("R126", message, at=("name",), hint=hint)


_CODE: Final = re.compile(r"[A-Za-z]\d{3}")
_OF_LOCK: Final = (
    *("lock", "lock.splits.holdout", "lock.holdout.looks", "lock.holdout.redraws"),
    "lock.accepted",
)
"""What a review also compares: the lock beside the recipe."""


@rule("waivers")
def waivers_name_something_once(recipe: FilledText) -> Problems:
    named: set[str] = set()
    for position, waiver in enumerate(recipe["waivers"]):
        what, at = waiver["what"], ("waivers", position, "what")
        if what in named:
            yield recipe.problem("R291", f"{show(what)} is waived twice", at=at)
        named.add(what)
        if is_known(what):
            continue
        if _CODE.fullmatch(what):
            message = f"{show(what)} is no code of a weaker gate"
            where = "they are in docs/reference/errors.md, from W101 on"
            is_known_code = what.upper() in _codes()
            hint = suggestion(what.upper(), _codes(), where)
            hint = f"write `{what.upper()}`" if is_known_code else hint
        else:
            paths = [
                path for path, _ in walk(recipe_schema()) if not {"[]", "*"}.intersection(path)
            ]
            message = f"the recipe language has no key {show(what)}"
            hint = suggestion(what, map(".".join, paths), "name the key as `recipe diff` writes it")
        yield recipe.problem("R290", message, at=at, hint=hint)


def is_known(what: str) -> bool:
    return what in _codes() or what in _OF_LOCK or any(form.fullmatch(what) for form in _forms())


@lru_cache(maxsize=1)
def _codes() -> tuple[str, ...]:
    return tuple(code for code in all_codes() if code.startswith("W"))


@lru_cache(maxsize=1)
def _forms() -> tuple[re.Pattern[str], ...]:
    return tuple({_form(path) for path, _ in walk(recipe_schema())})


def _form(path: tuple[str, ...]) -> re.Pattern[str]:
    found = ""
    for part in path:
        if part == "[]":
            found += r"(?:\[\d+\]|\.[\w-]+)"
        else:
            name = ".+" if part == "*" else re.escape(part)
            found += rf"\.{name}" if found else name
    return re.compile(found)
