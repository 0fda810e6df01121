"""What the columns of a probe hold, and what they are usually called: light, for rules and readers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from engine.recipe.model import Probe, Recipe

KINDS: Final = ("multiple_choice", "cloze", "minimal_pairs")

COLUMNS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "multiple_choice": (("question", "choices", "answer"),),
    "cloze": (("context", "endings", "answer"), ("contexts", "ending", "answer")),
    "minimal_pairs": (("good", "bad"),),
}
"""By kind, the sets of columns that a row may have. A cloze text comes in one or several forms."""

USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "question": ("question", "query"),
    "choices": ("choices", "options"),
    "answer": ("answer", "gold", "label"),
    "context": ("context", "query"),
    "endings": ("endings", "choices"),
    "contexts": ("contexts", "context_options"),
    "ending": ("ending", "continuation"),
    "good": ("good", "sentence_good"),
    "bad": ("bad", "sentence_bad"),
}
"""Column names that a recipe need not name in `columns`."""


def parts_of(kind: str) -> tuple[str, ...]:
    """Return everything that a column of a probe of this kind may hold."""
    return tuple(dict.fromkeys(part for layout in COLUMNS[kind] for part in layout))


def layout_of(
    kind: str, named: Mapping[str, str], present: Collection[str]
) -> dict[str, str] | None:
    """Return the column of each part, for the first set of columns that is there whole, else None.

    `named`: the columns that the recipe names, by part; `present`: the columns of a row. A dotted path is taken as it
    is.
    """
    for layout in COLUMNS[kind]:
        found = {part: column(part, named, present) for part in layout}
        if all(found.values()):
            return found
    return None


def column(part: str, named: Mapping[str, str], present: Collection[str]) -> str:
    """Return the column of one part; empty where there is none."""
    if part in named:
        name = named[part]
        return name if name in present or name.partition(".")[0] in present else ""
    return next((name for name in USUAL[part] if name in present), "")


def probes_of(recipe: Recipe) -> tuple[Probe, ...]:
    """Return the probes of a recipe; none where forgetting is not measured."""
    forgetting = recipe.acceptance.forgetting
    return () if forgetting is None else forgetting.probes
