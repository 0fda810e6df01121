"""The draft: a recipe of at most 25 lines that is valid and whose data stage works."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.data.prepare import Prepared, prepare
from engine.data.reading.sources import fetch_all, read_all
from engine.drafting.draft_plan import FEWEST, DraftPlan, Sizes, sizes_for
from engine.drafting.draft_text import COMPARED, TABLE, text_of
from engine.drafting.gather import Gathered, gather, with_plain_tools, written
from engine.drafting.guess import DraftOptions, guess
from engine.drafting.inputs import inputs_of, unpacked
from engine.drafting.layout_table import SPLIT
from engine.drafting.roles import groupings, without_whole
from engine.drafting.source_reading import RECOGNISED
from engine.errors import DataError, RecipeError, Severity
from engine.recipe import check_recipe
from engine.recipe.model import Recipe, Reference
from engine.recipe.text.layout_edit import create
from engine.render.number_format import counted
from engine.render.progress_display import SilentProgress
from engine.trust.allowed import Allowed
from engine.values import replace

FEWEST_ROWS: Final = 4
"""Rows of the smallest splits: one to train on, one to steer by, two to judge by."""


def draft(
    files: Sequence[Path], target: Path, *, default_model: Reference, wishes: DraftOptions
) -> DraftPlan:
    """Return the plan of a recipe for data files or folders, to be written at `target`.

    Rows that no recipe can read as they stand are written to a file beside it first, which is removed where the draft
    fails.

    Raises:
        DataError: the file cannot be read, or has rows that a reader refuses.
        RecipeError: R030, nothing can be made of its columns.

    """
    rows_file = target.with_name(f"{target.name.removesuffix('.yaml')}.rows.jsonl")
    found, name = _gathered(files, wishes, rows_file), files[0].absolute().name
    if wishes.base_model is None:
        found = with_plain_tools(found, rows_file)
    while True:
        profile = found.profile if wishes.text else without_whole(found.profile)
        if profile.rows < FEWEST_ROWS:
            why = f"{FEWEST_ROWS} are needed to divide them, there are {profile.rows}"
            raise _too_few(name, why)
        guessed, columns = guess(profile, wishes), profile.columns
        partly = [
            one for one in guessed.needed
            if one in columns and columns[one].present < len(profile.kept)
        ]  # fmt: skip
        if not partly or guessed.shape or any("." in one for one in partly):
            break
        # A recipe reads no rows without these columns.
        given = [{SPLIT: split, **row} if split else row for split, row in found.split_rows()]
        kept = [row for row in given if all(one in row for one in partly)]
        names = " and ".join(f"`{one}`" for one in partly)
        why = f"{len(given) - len(kept):,} of {len(given):,} rows have no {names} and are left out"
        found = written(kept, rows_file, (*found.whys, why), found.notes)
    plan = DraftPlan(
        name=name, target=target, model=wishes.base_model or default_model, guess=guessed,
        profile=profile, gathered=found, sizes=sizes_for(profile.rows, is_folded=False),
        groupings=groupings(profile, guessed.used),
    )  # fmt: skip
    if found.rows:
        create(rows_file, found.content())
    try:
        _settle(plan)
    except BaseException:
        if found.rows:
            rows_file.unlink()
        raise
    return plan


def _gathered(files: Sequence[Path], wishes: DraftOptions, rows_file: Path) -> Gathered:
    found: Sequence[Path] = files
    try:
        with unpacked(files) as found:
            # What an archive was unpacked to is gone when the draft is read.
            return gather(
                inputs_of(found), encoding=wishes.encoding, rows_file=rows_file,
                must_write=found != list(files),
            )  # fmt: skip
    except DataError as error:
        problems = []
        for problem in error.problems:
            message = problem.message
            # What an archive was unpacked to is no place that the user knows.
            for file, folder in zip(files, found, strict=True):
                message = message.replace(str(folder), str(file))
            hint = RECOGNISED if problem.code == "D322" else problem.hint
            problems.append(replace(problem, message=message, hint=hint))
        raise DataError(problems) from None


def _too_few(name: str, why: str) -> RecipeError:
    return RecipeError.one(
        "R030",
        f"too few rows of `{name}` can be used: {why}",
        hint="add rows, or say what they are: --kind KIND --text COLUMN --label COLUMN",
    )


def _settle(plan: DraftPlan) -> None:
    """Change the plan until a run would accept the rows."""
    rows, guessed = plan.profile.rows, plan.guess
    if not plan.by_files and plan.kind.draft.metric != "perplexity":  # which is no share of rows
        plan.sizes = sizes_for(rows, is_folded=True)
    first = next(iter(plan.groupings), None)
    if first and first.is_sure and not first.empty and not plan.by_files and not plan.kind.group:
        plan.group = first
    plan.checks["leakage"] = ("drop", "training rows that are nearly in the holdout are left out")
    if absent := plan.labels.absent:
        count = sum(plan.profile.columns[guessed.label].values[one] for one in absent)
        shown = ", ".join(f"`{one}`" for one in absent[:3])
        plan.checks["unknown_labels"] = ("drop", f"{count:,} rows say {shown}, which is no label")
    # Of few rows, what is left to train on is counted; of official splits that may be nothing.
    off = [check for check in TABLE["quiet"] if check != "leakage" or rows > COMPARED]
    for _ in range(16):
        recipe = _checked(plan)
        prepared = _prepared(recipe, off=off)
        # D435: no row is left to train on.
        problems = [one for one in prepared.problems if one.code != "D435"]
        if not problems:
            break
        if not _improve(plan, prepared):
            raise _too_few(plan.name, problems[0].message)
    if plan.by_files and len(problems) < len(prepared.problems):
        raise RecipeError.one(
            "R030",
            f"every training row of `{plan.name}` stands in its holdout too, so none would be left to train on",
            hint="name files whose rows differ, or one of them: its rows are divided",
        )
    plan.summary = prepared.summary
    plan.count_tokens(recipe.task, prepared)


def _checked(plan: DraftPlan) -> Recipe:
    # Everything is allowed: the user typed the paths.
    recipe, problems = check_recipe(
        plan.target, read=lambda _: text_of(plan).encode(), given=Allowed(everything=True)
    )
    if recipe is not None:
        return recipe
    first = next(problem for problem in problems if problem.severity is Severity.ERROR)
    path = first.path or ""
    if path.startswith("acceptance."):
        # The draft's own thresholds, which so few rows cannot show.
        raise _too_few(plan.name, f"{path} {first.message}")
    is_label = path.startswith("task.labels")
    what = "correct that label in the rows" if is_label else "rename the column"
    raise RecipeError.one(
        "R030",
        f"no valid recipe for `{plan.name}`: {path}: {first.message}",
        hint=f"{what}, or say another column: --text COLUMN --label COLUMN",
    )


def _prepared(recipe: Recipe, *, off: Collection[str]) -> Prepared:
    def never(name: str, _payload: Mapping[str, Any], _build: object) -> Any:
        raise AssertionError(name)  # local files are not fetched

    rows = read_all(fetch_all(recipe.data.sources, never, SilentProgress()), SilentProgress())
    quiet: dict[str, Any] = dict.fromkeys(off, "off")
    data = replace(recipe.data, checks=replace(recipe.data.checks, **quiet))
    return prepare(rows, recipe.task, data=data, splits=recipe.splits, refuse=False, thorough=False)


def _improve(plan: DraftPlan, prepared: Prepared) -> bool:
    """Where a check refuses rows, plan what is done about it; False where nothing is left to do."""
    refusing = {
        one.check: ("drop" if one.check in TABLE["dropped"] else "warn", counted(one.count, "row"))
        for one in prepared.summary.findings
        if one.action == "fail" and one.count and one.check not in plan.checks
    }
    few = {"D311", "D312", "D361", "D362", "D363"} & {one.code for one in prepared.problems}
    if refusing:
        plan.checks |= refusing
    elif plan.group is not None:
        plan.group = None
    elif few and plan.sizes.folds:
        plan.sizes = sizes_for(plan.profile.rows, is_folded=False)
    elif few and plan.kind.has_labels and "missing_classes" not in plan.checks:
        plan.checks["missing_classes"] = ("warn", "some have too few rows to be judged")
    elif plan.sizes.holdout > FEWEST:
        half, holdout = plan.sizes.validation // 2, plan.sizes.holdout // 2
        plan.sizes = Sizes(validation=max(1, half), holdout=max(FEWEST, holdout))
    else:
        return False
    return True
