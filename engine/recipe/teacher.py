"""Teachers and writers of synthetic rows: how a recipe writes them, and which rows they add."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from engine.recipe.baselines import LEARNED, baseline
from engine.recipe.mapping import from_mapping
from engine.recipe.model import (
    Baseline,
    Endpoint,
    PathRef,
    Recipe,
    SoftTargets,
    Synthesize,
    Teacher,
)
from engine.recipe.text.compose import KeyPath
from engine.values import replace

WRITER_NAME: Final = "teacher"
JUDGE_NAME: Final = "judge"
LABEL: Final = "label"
"""Placeholder in `prompt` for the wanted answer."""
REVIEWED: Final = 60
"""Rows in a review file if the recipe does not specify how many have to be reviewed."""


def writer_fields(written: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the fields of `data.synthesize` that are written in another way."""
    teacher = written["teacher"]
    return {
        "prompt": written.get("prompt", ""),
        "review": written.get("review", ""),
        "temperature": float(written.get("temperature", 0.9 if "endpoint" in teacher else 0)),
        "teacher": baseline({"model": {"name": WRITER_NAME, **teacher}}, folder),
        "vary": tuple((name, tuple(values)) for name, values in written["vary"].items()),
    }


def judge_fields(written: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    judge = written.get("judge")
    return {"judge": judge and baseline({"model": {"name": JUDGE_NAME, **judge}}, folder)}


def written_synthesis_keep(value: Synthesize, judge: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `keep` as a recipe writes it; `judge` is that model as a recipe writes it."""
    agreement: dict[str, Any] = {"votes": value.agreement.votes, "min": value.agreement.min}
    agreement |= {"judge": dict(judge)} if judge else {}
    return {"agreement": agreement, "max_share": value.max_share}


def synthesis_of(recipe: Recipe) -> Synthesize:
    if recipe.data.synthesize is None:
        raise AssertionError(recipe.name)
    return recipe.data.synthesize


def review_file(recipe: Recipe) -> PathRef | None:
    written = recipe.data.synthesize.review if recipe.data.synthesize else ""
    if not written:
        return None
    return PathRef(path=recipe.file.parent / written, written=written)


def most_kept(value: Synthesize, train: int) -> int:
    """Return how many rows `keep.max_share` allows in addition to so many training rows."""
    # As it is written: 0.6 as a binary number would lose one row of 90.
    share = Fraction(str(value.max_share))
    return int(share / (1 - share) * train)


def judge_of(value: Synthesize) -> Baseline:
    return value.agreement.judge or value.teacher


MODEL: Final[KeyPath] = ("teacher", "model")
NAME: Final = "teacher"
RATIOS: Final = {"parameters": "max_ratio", "rows_per_second": "min_ratio"}
"""Keys of `acceptance.against_teacher` that are no metrics, with the word of their bound."""
OF_SOFT: Final = ("temperature", "weight", "compare_with_answers")
ROWS_SUFFIX: Final = "_teacher_rows"
"""Ending of the name of a baseline that was trained on the teacher's rows, too."""
SYNTHETIC_SUFFIX: Final = "_synthetic_rows"


def teacher_model(written: Any, folder: Path, baselines: Sequence[Baseline]) -> Baseline:
    """Return the model of a checked section; a word is the name of a baseline of the recipe."""
    if isinstance(written, str):
        named = next(baseline for baseline in baselines if baseline.name == written)
        return replace(named, optional=False)
    return baseline({"model": {"name": NAME, **written}}, folder)


def is_baseline(teacher: Teacher) -> bool:
    return teacher.model.kind in LEARNED


def soft_targets_of(recipe: Recipe) -> SoftTargets | None:
    return recipe.teacher.soft if recipe.teacher is not None else None


def soft_slice(recipe: Recipe) -> dict[str, Any]:
    soft = soft_targets_of(recipe)
    if soft is None:
        return {}
    return {"soft_targets": {"temperature": soft.temperature, "weight": soft.weight}}


def without_soft_targets(recipe: Recipe) -> Recipe:
    """Return the recipe that learns the same rows from their answers only."""
    if recipe.teacher is None:
        return recipe
    return replace(recipe, teacher=replace(recipe.teacher, soft=None))


def soft_of(written: Mapping[str, Any]) -> SoftTargets | None:
    if written.get("targets") != "soft":
        return None
    return from_mapping(SoftTargets, {"temperature": 2.0, "weight": 0.5, **written})


def written_keep(teacher: Teacher) -> dict[str, Any]:
    bound = teacher.min_confidence
    return {} if bound is None else {"confidence": {"min": bound}}


def on_added_rows(recipe: Recipe) -> tuple[Baseline, ...]:
    """Return the baselines that are trained once more on rows with added ones; none without added rows."""
    suffix = SYNTHETIC_SUFFIX if recipe.data.synthesize else ROWS_SUFFIX
    return tuple(
        replace(baseline, name=f"{baseline.name}{suffix}")
        for baseline in recipe.baselines
        if recipe.rows_added_by and baseline.kind in LEARNED
    )


def all_baselines(recipe: Recipe) -> tuple[Baseline, ...]:
    return (*recipe.baselines, *on_added_rows(recipe))


def price_of(endpoint: Endpoint | None, read: float, written: float) -> float | None:
    """Return what so many tokens cost at the recipe's prices; None without a price."""
    if endpoint is None or not (endpoint.input_price or endpoint.output_price):
        return None
    return (read * endpoint.input_price + written * endpoint.output_price) / 1_000_000
