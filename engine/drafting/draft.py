"""The draft: a recipe of at most 25 lines that is valid, whose data stage works, and what was guessed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from engine.data.prepare import Prepared, prepare
from engine.data.reading.sources import fetch_all, read_all
from engine.drafting.guess import Told, guess
from engine.drafting.plan import Plan
from engine.drafting.profile import Profile, profile_of
from engine.drafting.prompt import longest_row
from engine.drafting.reading import Reading, readings_of
from engine.drafting.reasons import notes, reasons
from engine.drafting.sizes import (
    Sizes,
    sizes_for,
)
from engine.drafting.writer import Writer
from engine.errors import DataError, RecipeError, Severity
from engine.recipe import check_recipe
from engine.recipe.model import Recipe, Reference
from engine.render.progress import SilentProgress
from engine.trust.word import Allowed

DROPPABLE: Final = frozenset(
    {
        "conflicting_labels",
        "leakage",
        "empty",
        "unknown_labels",
        "schema_violations",
        "template_tokens",
    }
)
MOST_TRIES: Final = 16
FEWEST: Final = 2
"""Rows of a holdout."""
FEWEST_ROWS: Final = 4
"""Rows of the smallest splits: one to train on, one to steer by, two to judge by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the person said instead of leaving it to a guess."""

    told: Told = field(default_factory=Told)
    base_model: Reference | None = None
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A recipe that is not written yet, and what it rests on."""

    text: str
    reasons: tuple[tuple[str, str, str], ...]
    """(what, guess, why)."""
    notes: tuple[str, ...]
    rows: int
    columns: tuple[str, ...]


def draft(file: Path, target: Path, *, default_model: Reference, wishes: Wishes) -> Draft:
    """Return a recipe for a data file, to be written at `target`.

    Raises:
        DataError: the file cannot be read, or has rows that a reader refuses.
        RecipeError: R030, nothing can be made of its columns.

    """
    readings, profile = _read(file, wishes.encoding)
    if profile.rows < FEWEST_ROWS:
        raise _too_few(file, f"{FEWEST_ROWS} are needed to divide them, there are {profile.rows}")
    found = guess(profile, wishes.told)
    plan = Plan(
        guess=found,
        profile=profile,
        readings=readings,
        sizes=sizes_for(profile.rows),
        longest=longest_row(found, profile.kept),
    )
    plan.checks["leakage"] = ("drop", "training rows that are nearly in the holdout are left out")
    writer = Writer(plan=plan, file=file, target=target, model=wishes.base_model or default_model)
    recipe = _checked(writer)
    for _ in range(MOST_TRIES):
        prepared = _prepared(recipe)
        if not prepared.problems:
            break
        if not _improve(plan, prepared):
            raise _too_few(file, prepared.problems[0].message)
        recipe = _checked(writer)
    return Draft(
        text=writer.text(),
        reasons=tuple(reasons(plan)),
        notes=tuple(notes(plan)),
        rows=profile.rows,
        columns=tuple(name for name in profile.kept[0]) if profile.kept else (),
    )


def _read(file: Path, encoding: str) -> tuple[tuple[Reading, ...], Profile]:
    try:
        readings = readings_of(file, encoding=encoding)
        return readings, profile_of((reading.into, reading.rows()) for reading in readings)
    except DataError as error:
        hint = "say it: --encoding latin-1, or the file's real one"
        problems = [
            replace(problem, hint=hint) if problem.code == "D322" else problem
            for problem in error.problems
        ]
        raise DataError(problems) from None


def _too_few(file: Path, why: str) -> RecipeError:
    return RecipeError.one(
        "R030",
        f"too few rows of `{file.name}` can be used: {why}",
        hint="add rows, or say what they are: --kind KIND --text COLUMN --label COLUMN",
    )


def _checked(writer: Writer) -> Recipe:
    recipe, problems = check_recipe(
        writer.target,
        read=lambda _: writer.text().encode(),
        given=Allowed(everything=True),  # the user typed the paths
    )
    if recipe is None:
        first = next(problem for problem in problems if problem.severity is Severity.ERROR)
        raise RecipeError.one(
            "R030",
            f"no valid recipe for `{writer.file.name}`: {first.path}: {first.message}",
            hint="rename the column, or say another: --text COLUMN --label COLUMN",
        )
    return recipe


def _prepared(recipe: Recipe) -> Prepared:
    """Divide the rows once."""
    fetched = fetch_all(recipe.data.sources, _never, SilentProgress())
    rows = read_all(fetched, SilentProgress())
    data = replace(recipe.data, checks=replace(recipe.data.checks, **_QUIET))
    return prepare(rows, recipe.task, data=data, splits=recipe.splits, refuse=False, thorough=False)


def _improve(plan: Plan, prepared: Prepared) -> bool:
    """Where a check refuses rows, plan what is done about it; False where nothing is left to do."""
    changed = False
    for finding in prepared.summary.findings:
        if finding.action == "fail" and finding.count and finding.check not in plan.checks:
            action = "drop" if finding.check in DROPPABLE else "warn"
            plan.checks[finding.check] = (action, f"{finding.count:,} rows")
            changed = True
    codes = {problem.code for problem in prepared.problems}
    if (
        not changed
        and codes & {"D311", "D312", "D361", "D362"}
        and "missing_classes" not in plan.checks
    ):
        plan.checks["missing_classes"] = ("warn", "some have too few rows to be judged")
        return True
    if not changed and plan.sizes.holdout > FEWEST:
        plan.sizes = Sizes(
            validation=max(1, plan.sizes.validation // 2),
            holdout=max(FEWEST, plan.sizes.holdout // 2),
        )
        return True
    return changed


_QUIET: Final[Mapping[str, Any]] = dict.fromkeys(
    (
        "leakage",
        "label_errors",
        "languages",
        "near_duplicates",
        "label_in_input",
        "mojibake",
        "personal_data",
        "output_format",
        "control_characters",
        "imbalance",
    ),
    "off",
)
"""Checks that refuse nothing in a draft: it does not wait for them."""


def _never(_name: str, _payload: Mapping[str, Any], _build: object) -> Any:
    raise AssertionError(_name)  # local files are not fetched
