"""The page of every code: what `recipe explain` and the reference show."""

from __future__ import annotations

from engine.codes import Code, merged, pages_of_areas
from engine.recipe.rules import RULES
from engine.recipe.rules.rule import pages_of


def all_codes() -> dict[str, Code]:
    """Return the pages of all rules and areas, sorted by code."""
    return merged((pages_of_areas(), *(pages_of(rule.check) for rule in RULES)))


def code_page(code: str) -> Code | None:
    """Return the page of `code` (any case), or None when there is no such code."""
    return all_codes().get(code.upper())
