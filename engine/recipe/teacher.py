"""The teacher of a recipe: how it is written, and what of it decides the rows that are trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.recipe.baselines import LEARNED, baseline
from engine.recipe.model import (
    AgainstTeacher,
    Baseline,
    MaxDrop,
    Recipe,
    SoftTargets,
    Source,
    Teacher,
    TeacherInputs,
)
from engine.recipe.text.compose import KeyPath
from engine.values import replace

MODEL: Final[KeyPath] = ("teacher", "model")
SOURCES: Final[KeyPath] = ("teacher", "inputs", "sources")
NAME: Final = "teacher"
"""What reports call a teacher to which the recipe gives no name."""
RATIOS: Final = {"parameters": "max_ratio", "rows_per_second": "min_ratio"}
"""What of `acceptance.against_teacher` is no metric, and which way it is bounded."""
TEMPERATURE: Final = 2.0
WEIGHT: Final = 0.5
"""Of soft targets, where the recipe does not say it."""
OF_SOFT: Final = ("temperature", "weight", "compare_with_answers")
"""Keys that speak of soft targets."""
ROWS_SUFFIX: Final = "_teacher_rows"
"""Ends the name of a baseline that was trained on the teacher's rows too."""
SYNTHETIC_SUFFIX: Final = "_synthetic_rows"
"""The same, on synthetic rows."""


def teacher_of(
    written: Mapping[str, Any],
    sources: Sequence[Source],
    folder: Path,
    *,
    baselines: Sequence[Baseline],
) -> Teacher:
    """Return the value of a checked section; `sources` are those of its inputs, `baselines` those of its recipe."""
    bound = written["keep"].get("confidence")
    rows = written.get("inputs", {}).get("rows", 0)
    return Teacher(
        model=_model_of(written["model"], folder, baselines),
        inputs=TeacherInputs(sources=tuple(sources), rows=int(rows)),
        min_confidence=None if bound is None else float(bound["min"]),
        stop_if_teacher_is_no_better=written["stop_if_teacher_is_no_better"],
        soft=_soft_of(written),
    )


def _model_of(written: Any, folder: Path, baselines: Sequence[Baseline]) -> Baseline:
    if isinstance(written, str):
        # as a teacher it has to be there
        return replace(next(one for one in baselines if one.name == written), optional=False)
    return baseline({"model": {"name": NAME, **written}}, folder)


def model_keys(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the keys of a written section's model; none where it is one of the recipe's baselines."""
    model = written["model"]
    return model if isinstance(model, Mapping) else {}


def is_baseline(teacher: Teacher) -> bool:
    """Return whether the teacher is one of the recipe's baselines, trained on its rows."""
    return teacher.model.kind in LEARNED


def written_sources(written: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the sources of a written section's rows without labels; none where it names none."""
    found: list[Mapping[str, Any]] = written.get("inputs", {}).get("sources", [])
    return found


def written_soft(teacher: Teacher) -> dict[str, Any]:
    """Return how a recipe writes soft targets; nothing where only answers are learned."""
    soft = teacher.soft
    if soft is None:
        return {}
    found = {"targets": "soft", "temperature": soft.temperature, "weight": soft.weight}
    return found | ({"compare_with_answers": True} if soft.compare_with_answers else {})


def soft_targets_of(recipe: Recipe) -> SoftTargets | None:
    """Return the soft targets that a recipe trains on; None without them."""
    return recipe.teacher.soft if recipe.teacher is not None else None


def soft_slice(recipe: Recipe) -> dict[str, Any]:
    """Return what of soft targets decides a training, for keys; empty without them."""
    soft = soft_targets_of(recipe)
    if soft is None:
        return {}
    return {"soft_targets": {"temperature": soft.temperature, "weight": soft.weight}}


def without_soft_targets(recipe: Recipe) -> Recipe:
    """Return the recipe that learns the same rows from their answers only."""
    if recipe.teacher is None:
        return recipe
    return replace(recipe, teacher=replace(recipe.teacher, soft=None))


def _soft_of(written: Mapping[str, Any]) -> SoftTargets | None:
    if written.get("targets") != "soft":
        return None
    return SoftTargets(
        temperature=float(written.get("temperature", TEMPERATURE)),
        weight=float(written.get("weight", WEIGHT)),
        compare_with_answers=written.get("compare_with_answers", False),
    )


def written_keep(teacher: Teacher) -> dict[str, Any]:
    """Return how a recipe writes which answers are kept."""
    bound = teacher.min_confidence
    return {} if bound is None else {"confidence": {"min": bound}}


def against_teacher_of(written: Mapping[str, Any]) -> AgainstTeacher:
    """Return the value of a checked `acceptance.against_teacher`."""
    ratios = {name: written.get(name, {}).get(way) for name, way in RATIOS.items()}
    drops = sorted(name for name in written if name not in RATIOS)
    return AgainstTeacher(
        drops=tuple(
            MaxDrop(metric=name, max_drop=float(written[name]["max_drop"])) for name in drops
        ),
        max_parameters=ratios["parameters"],
        min_speed=ratios["rows_per_second"],
    )


def written_against_teacher(bounds: AgainstTeacher) -> dict[str, dict[str, float]]:
    """Return how a recipe writes these bounds."""
    found: dict[str, dict[str, float]] = {
        drop.metric: {"max_drop": drop.max_drop} for drop in bounds.drops
    }
    values = {"parameters": bounds.max_parameters, "rows_per_second": bounds.min_speed}
    return found | {
        name: {RATIOS[name]: value} for name, value in values.items() if value is not None
    }


def on_added_rows(recipe: Recipe) -> tuple[Baseline, ...]:
    """Return the baselines that learn from rows, to be trained on added ones too; none where no rows are added."""
    if not recipe.rows_added_by:
        return ()
    suffix = SYNTHETIC_SUFFIX if recipe.data.synthesize else ROWS_SUFFIX
    return tuple(
        replace(one, name=f"{one.name}{suffix}") for one in recipe.baselines if one.kind in LEARNED
    )


def all_baselines(recipe: Recipe) -> tuple[Baseline, ...]:
    """Return what the student is compared with: the recipe's baselines, and those with added rows."""
    return (*recipe.baselines, *on_added_rows(recipe))
