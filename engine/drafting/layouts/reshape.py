"""Rows whose answer no key of a recipe can name, as rows of which it can: the layouts in their order, applied."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from engine.drafting.layouts.exports import DATA_SETS, TOOLS
from engine.drafting.layouts.gathered import gathered_turns, gathered_words
from engine.drafting.layouts.label_names import Names, named_labels
from engine.drafting.layouts.labels import (
    LABELS,
    lists_as_text,
    numbered,
    odd_names,
    some_without,
    splits,
)
from engine.drafting.layouts.layout import (
    LOOKED_AT,
    SPLIT,
    Attempt,
    Recognised,
    Row,
    Turned,
    columns_of,
)
from engine.drafting.layouts.questions import ANSWERABLE, with_choices
from engine.drafting.layouts.spans import INLINE, MARKS
from engine.drafting.layouts.talks import COMPARISONS, PARTS, SENTENCES, TALKS
from engine.errors import RecipeError

MOST_STEPS: Final = 5
MOST_COLUMNS: Final = 1000
"""Columns of rows: each is compared with each other one."""
ODD: Final = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What is raised where a row is laid out otherwise than those by which its layout was recognised."""
LAYOUTS: Final[tuple[Attempt, ...]] = (
    *TOOLS,
    odd_names,
    *DATA_SETS,
    ANSWERABLE,
    with_choices,
    numbered,
    lists_as_text,
    *PARTS,
    *MARKS,
    *COMPARISONS,
    SENTENCES,
    *TALKS,
    *LABELS,
    INLINE,
    some_without,
)
"""In the order in which they are tried. An export comes before what its marks look like."""


def reshaped(
    rows: Sequence[Row], names: Names | None = None, *, keep_names: bool = False
) -> tuple[list[Row], list[str]]:
    """Return the rows in a form that a recipe can name, and what was done to them; nothing where nothing had to be.

    `names` are those of the numbers of labels, where a file beside the rows says them. `keep_names` leaves columns
    that no template can name as they are called. RecipeError R030 for more columns than are compared.
    """
    if (count := len(columns_of(rows))) > MOST_COLUMNS:
        raise RecipeError.one(
            "R030",
            f"its rows have {count:,} columns, and a draft looks at {MOST_COLUMNS:,} at most",
            hint="keep the columns that matter, or start from a shipped recipe: recipe init",
        )
    found, whys = list(rows), []
    for gather in (gathered_words, gathered_turns):
        if together := gather(found):
            found, why = together
            whys.append(why)
            break
    # By all rows: the first ones may be of one split.
    if step := _tried(splits, found):
        found = [new for row in found for new in _turned(step[0], row) or ()]
        whys.append(step[1])
    layouts = [layout for layout in LAYOUTS if layout is not odd_names or not keep_names]
    if names:
        layouts.insert(0, lambda rows: named_labels(rows, names))
    # A layout may uncover another: a list in a text may hold the words of a tagged sentence.
    for _ in range(MOST_STEPS):
        sample = found[:LOOKED_AT]
        step = next((one for layout in layouts if (one := _tried(layout, sample))), None)
        if step is None:
            break
        turned = [_turned(step[0], row) for row in found]
        odd, none = sum(new is None for new in turned), sum(new == [] for new in turned)
        found = [new for some in turned for new in some or ()]
        why = step[1]
        if none:
            why += f"; {none:,} of {len(turned):,} rows hold no answer that can be used and are left out"
        whys.append(f"{why}; {odd:,} that are laid out otherwise are left out" if odd else why)
    return found, whys


def _tried(layout: Attempt, sample: Sequence[Row]) -> Recognised:
    with suppress(*ODD):
        return layout(sample) if sample else None
    return None


def _turned(turn: Turned, row: Row) -> list[dict[str, Any]] | None:
    """Return what becomes of a row; None where it is laid out otherwise."""
    with suppress(*ODD):
        # The split that its file is of stays, whatever becomes of the other columns.
        kept = {SPLIT: row[SPLIT]} if SPLIT in row else {}
        return [{**kept, **new} for new in turn(row)]
    return None
