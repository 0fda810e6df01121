"""Rules about waivers, which name what a review can find."""

import re
from functools import cache
from typing import Final

from engine.codes import all_codes
from engine.recipe.rules import Problems, rule
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema import recipe_schema, walk
from engine.recipe.validation.schema_errors import show

_OF_LOCK: Final = (
    *("lock", "lock.splits.holdout", "lock.holdout.looks", "lock.holdout.redraws"),
    "lock.accepted",
)
"""Keys of the lock that a review compares."""


@rule("waivers")
def waivers_name_something_once(recipe: SourceText) -> Problems:
    codes = tuple(code for code in all_codes() if code.startswith("W"))
    named: set[str] = set()
    for position, waiver in enumerate(recipe["waivers"]):
        what, at = waiver["what"], ("waivers", position, "what")
        if what in named:
            yield recipe.problem("R291", f"{show(what)} is waived twice", at=at)
        named.add(what)
        if what in codes or what in _OF_LOCK or _key_form().fullmatch(what):
            continue
        if re.fullmatch(r"[A-Za-z]\d{3}", what):
            message = f"{show(what)} is no code of a weaker gate"
            where = "they are in docs/reference/errors.md, from W101 on"
            hint = suggestion(what.upper(), codes, where)
        else:
            keys = [path for path, _ in walk(recipe_schema()) if not {"[]", "*"} & {*path}]
            message = f"the recipe language has no key {show(what)}"
            hint = suggestion(what, map(".".join, keys), "name the key as `recipe diff` writes it")
        yield recipe.problem("R290", message, at=at, hint=hint)


@cache
def _key_form() -> re.Pattern[str]:
    """Return the form of every key that the schema knows, such as `data.sources[0].file`."""
    forms = set()
    for path, _ in walk(recipe_schema()):
        form = ""
        for name in path:
            part = ".+" if name == "*" else re.escape(name)
            item = r"(?:\[\d+\]|\.[\w-]+)"
            form += item if name == "[]" else rf"\.{part}" if form else part
        forms.add(form)
    return re.compile("|".join(sorted(forms)))
