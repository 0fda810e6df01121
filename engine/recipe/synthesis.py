"""`data.synthesize`: how it is written, and the models that it asks."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from engine.recipe.baselines import baseline
from engine.recipe.model import (
    Agreement,
    Baseline,
    PathRef,
    Recipe,
    Synthesize,
    SyntheticReview,
)

WRITER_NAME: Final = "teacher"
"""What reports call a model that writes rows and has no name in the recipe."""
JUDGE_NAME: Final = "judge"
TEMPERATURE: Final = 0.9
"""Of a server that the recipe gives none."""
LABEL: Final = "label"
"""Stands in `prompt` for the wanted answer."""
REVIEWED: Final = 60
"""Rows in a review file where the recipe does not say how many have to be reviewed."""


def synthesize_of(written: Mapping[str, Any], folder: Path) -> Synthesize:
    """Return the value of a checked section."""
    keep, teacher = written["keep"], written["teacher"]
    agreement = keep["agreement"]
    judge = agreement.get("judge")
    served = TEMPERATURE if "endpoint" in teacher else 0.0
    return Synthesize(
        teacher=baseline({"model": {"name": WRITER_NAME, **teacher}}, folder),
        rows=int(written["rows"]),
        max_cost=None if written.get("max_cost") is None else float(written["max_cost"]),
        balance=written["balance"],
        examples=int(written["examples"]),
        vary=tuple((name, tuple(values)) for name, values in written["vary"].items()),
        prompt=written.get("prompt", ""),
        temperature=float(written.get("temperature", served)),
        seed=int(written["seed"]),
        agreement=Agreement(
            votes=int(agreement["votes"]),
            min=int(agreement["min"]),
            judge=judge and baseline({"model": {"name": JUDGE_NAME, **judge}}, folder),
        ),
        max_share=float(keep["max_share"]),
        review=written.get("review", ""),
    )


def written_keep(value: Synthesize, judge: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return how a recipe writes what is kept; `judge` is how it writes that model."""
    agreement: dict[str, Any] = {"votes": value.agreement.votes, "min": value.agreement.min}
    agreement |= {"judge": dict(judge)} if judge else {}
    return {"agreement": agreement, "max_share": value.max_share}


def review_of(written: Mapping[str, Any]) -> SyntheticReview:
    """Return the value of a checked `acceptance.synthetic`."""
    reviewed, wrong = written.get("reviewed"), written.get("wrong")
    return SyntheticReview(
        min_reviewed=None if reviewed is None else float(reviewed["min"]),
        max_wrong=None if wrong is None else float(wrong["max"]),
    )


def written_review(value: SyntheticReview) -> dict[str, Any]:
    """Return how a recipe writes it."""
    # a whole number of rows stays one
    least = value.min_reviewed
    found: dict[str, Any] = {}
    if least is not None:
        found["reviewed"] = {"min": int(least) if least >= 1 else least}
    if value.max_wrong is not None:
        found["wrong"] = {"max": value.max_wrong}
    return found


def synthesis_of(recipe: Recipe) -> Synthesize:
    """Return the section of a recipe that has one."""
    if recipe.data.synthesize is None:
        raise AssertionError(recipe.name)
    return recipe.data.synthesize


def review_file(recipe: Recipe) -> PathRef | None:
    """Return the file that people review rows in; None where the recipe names none."""
    written = recipe.data.synthesize.review if recipe.data.synthesize else ""
    if not written:
        return None
    return PathRef(path=recipe.file.parent / written, written=written)


def most_kept(value: Synthesize, train: int) -> int:
    """Return how many rows `keep.max_share` lets stand beside so many training rows."""
    # As it is written: 0.6 as a binary number would leave one row out of 90.
    share = Fraction(str(value.max_share))
    return int(share / (1 - share) * train)


def judge_of(value: Synthesize) -> Baseline:
    """Return who is asked for the answers to synthetic rows."""
    return value.agreement.judge or value.teacher
