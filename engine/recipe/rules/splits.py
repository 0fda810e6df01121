"""Rules about how the rows are divided."""

from __future__ import annotations

from typing import Final

from engine.recipe.methods import has_validation
from engine.recipe.model import BY_ORDER
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.source import FilledText
from engine.values import replace

NAMES: Final = ("train", "validation", "holdout")
# As floats, 0.6 + 0.3 + 0.1 is 0.9999999999999999.
_ROUNDING: Final = 1e-9


def _sizes(recipe: FilledText) -> dict[str, float]:
    written = {name: recipe["splits"].get(name, "all") for name in NAMES}
    return {
        name: size
        for name, size in written.items()
        # `true` is an int in Python; the schema reports it.
        if isinstance(size, int | float) and not isinstance(size, bool)
    }


@rule("splits")
def sizes_share_the_rows(recipe: FilledText) -> Problems:
    """R208: split sizes of two kinds.

    Rows and fractions together leave open what is shared out first.

    Fix: Write all three as whole numbers of rows or all three as fractions below 1.

    Wrong:
        ▸splits:
          train: 400
          validation: 0.1
          holdout: 300

    Right:
        splits:
          train: 0.6
          holdout: 0.3

    R209: fractions above 1 in sum.

    The splits share the rows; none is in two of them.

    Fix: Make train, validation and holdout add up to 1 or less.

    Wrong:
        ▸splits:
          train: 0.6
          validation: 0.2
          holdout: 0.3

    Right:
        splits:
          train: 0.5
    """
    sizes = _sizes(recipe)
    # `validation: 0` is written with fractions too: no rows are no rows.
    is_mixed = len({isinstance(size, float) for size in sizes.values() if size != 0}) > 1
    if is_mixed:
        message = "sizes must be all rows (400) or all fractions (0.4)"
        yield recipe.problem("R208", message, at=("splits",), key=True)
    for name, size in sizes.items():
        if isinstance(size, float) and size >= 1:
            message = f"must be a whole number of rows or a fraction below 1, not `{size}`"
            yield recipe.problem("R208", message, at=("splits", name))
    total = sum(sizes.values())
    if not is_mixed and all(0 <= size < 1 for size in sizes.values()) and total > 1 + _ROUNDING:
        message = f"fractions add up to {total:.4g}; must be at most 1"
        yield recipe.problem("R209", message, at=("splits",), key=True)


@rule("splits", "data.sample")
def rows_fit_the_sample(recipe: FilledText) -> Problems:
    """R222: the splits ask for more rows than the sample has.

    They share the sampled rows.

    Fix: Enlarge data.sample.rows or shrink the splits.

    Wrong:
        data:
          sample: {rows: 500}
        ▸splits:
          train: 400
          validation: 100
          holdout: 300

    Right:
        data:
          sample: {rows: 800}
    """
    sample, sizes = recipe["data"].get("sample"), _sizes(recipe).values()
    if sample is None or any(isinstance(size, float) for size in sizes):
        return
    if sum(sizes) > sample["rows"]:
        message = f"ask for {sum(sizes):,} rows; data.sample leaves {sample['rows']:,}"
        hint = f"set data.sample.rows to {sum(sizes)} or more"
        yield recipe.problem("R222", message, at=("splits",), key=True, hint=hint)


@rule("splits", "method")
def validation_steers(recipe: FilledText) -> Problems:
    """R217: early stopping without validation rows.

    It is decided by the validation loss.

    Fix: Set splits.validation above 0, delete early_stopping, or write keep: best, which draws validation rows from
    the training rows.

    Wrong:
        splits:
          validation: 0
        method:
          ▸early_stopping: {patience: 2}

    Right:
        splits:
          validation: 100
    """
    if "early_stopping" in recipe["method"] and not has_validation(recipe.filled):
        message = "early stopping needs validation rows; splits.validation is 0"
        yield recipe.problem("R217", message, at=("method", "early_stopping"), key=True)


def may_have_folds(recipe: FilledText) -> bool:
    """Return whether rows are drawn, which folds need; where they are divided otherwise, each has its place."""
    return _way(recipe) not in ("files", "column", *BY_ORDER)


def _way(recipe: FilledText) -> str:
    """Return the word for how rows are divided: `random`, `group`, `files`."""
    by = recipe["splits"]["by"]
    return str(next(iter(by), "") if isinstance(by, dict) else by)


def _rows_say_it(recipe: FilledText) -> bool:
    return _way(recipe) in ("files", "column")


@rule("splits")
def sizes_are_given(recipe: FilledText) -> Problems:
    """Holdout and validation need a size, unless files, a column or folds say it (R105)."""
    splits = recipe["splits"]
    if _rows_say_it(recipe):
        return
    for name, example in (("holdout", "300"), ("validation", "100")):
        if name not in splits and not (name == "holdout" and splits["folds"]):
            hint = f"add, for example, `{name}: {example}`"
            problem = recipe.problem("R105", "is missing", at=("splits",), key=True, hint=hint)
            # The key is absent, so the place is that of its section, but the path is its own.
            yield replace(problem, path=f"splits.{name}")


@rule("splits")
def folds_stand_alone(recipe: FilledText) -> Problems:
    """R261: folds take the place of the holdout and are drawn.

    Each row is held out once; a holdout beside that, or files that say where a row belongs, would contradict
    it.

    Fix: Delete `splits.holdout` or `splits.folds`; folds go with stratified, random and group.

    Wrong:
        splits:
          folds: 5
          validation: 0.1
          ▸holdout: 0.2
          # no train

    Right:
        splits:
          # no holdout
    """
    splits = recipe["splits"]
    if not splits["folds"]:
        return
    if splits["folds"] == 1:
        message = "one fold leaves nothing to train on; at least 2"
        yield recipe.problem("R261", message, at=("splits", "folds"))
    if "holdout" in splits:
        message = "splits.folds is there: the holdout is one fold"
        hint = "delete one of the two"
        yield recipe.problem("R261", message, at=("splits", "holdout"), key=True, hint=hint)
    if not may_have_folds(recipe):
        message = f"folds are drawn; `by: {_way(recipe)}` says where each row belongs"
        hint = "use stratified, random or group"
        yield recipe.problem("R261", message, at=("splits", "folds"), key=True, hint=hint)


@rule("splits", "data.sources")
def files_give_a_holdout(recipe: FilledText) -> Problems:
    """R262: files give train and holdout.

    With `by: files` no row is drawn: without such a file there is nothing to train on, or nothing to judge
    with.

    Fix: Give one source `into: train` and one `into: holdout`.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
              into: train
        splits:
          by: ▸files
          validation: 0
          # no train
          # no holdout

    Right:
        data:
          sources:
            - path: ../data/parts/a.jsonl
              into: train
            - path: ../data/rows.csv
              into: holdout

    R264: validation is a file or has a size.

    Without either it is not known whether validation is meant to be empty.

    Fix: Give a source `into: validation`, write `validation: 0.1` to draw them from the training rows, or
    `validation: 0` to go without.

    Wrong:
        data:
          sources:
            - path: ../data/parts/a.jsonl
              into: train
            - path: ../data/rows.csv
              into: holdout
        ▸splits:
          by: files
          # no train
          # no validation
          # no holdout

    Right:
        splits:
          validation: 0.1
    """
    if _way(recipe) != "files":
        return
    into = {one.get("into") for one in recipe["data"]["sources"]}
    if None in into:  # R253 reports it
        return
    for name in ("holdout", "train"):
        if name not in into:
            message = f"`by: files`, and no source has `into: {name}`"
            yield recipe.problem("R262", message, at=("splits", "by"))
    if "validation" not in into and recipe["splits"].get("validation", "all") == "all":
        message = "no source has `into: validation`, and splits.validation has no size"
        hint = "`validation: 0.1` draws them from the training rows, `validation: 0` goes without"
        yield recipe.problem("R264", message, at=("splits",), key=True, hint=hint)


@rule("splits")
def rows_are_left_to_train_and_to_judge(recipe: FilledText) -> Problems:
    """R263: all means what files or a column say.

    Where rows are drawn, all of them as the holdout would leave none to train on.

    Fix: Write a number of rows or a fraction; `train: all` is what is left.

    Wrong:
        splits:
          validation: 100
          holdout: ▸all

    Right:
        splits:
          holdout: 300

    R464: no row to train on, or none to judge by.

    Without training rows nothing is learned, and without a holdout nobody knows what was. Only validation may be 0.

    Fix: Give the split some rows; `recipe run --until data` and `--until baseline` end before anything is trained.

    Wrong:
        splits:
          train: ▸0

    Right:
        splits:
          train: 400

    R265: rows are left to train on.

    Holdout and validation are drawn first.

    Fix: Lower their fractions.

    Wrong:
        ▸splits:
          validation: 0.4
          holdout: 0.6
          # no train

    Right:
        splits:
          validation: 0.2
          holdout: 0.3
    """
    splits = recipe["splits"]
    # With folds every row judges once.
    for name in ("train",) if splits["folds"] else ("train", "holdout"):
        if splits.get(name) == 0:
            message = f"{name} has no row"
            yield recipe.problem("R464", message, at=("splits", name), hint="give it some rows")
    if _rows_say_it(recipe):
        return
    for name in ("holdout", "validation"):
        if splits.get(name) == "all":
            message = "`all` needs files or a column that say which rows these are"
            hint = "write a number of rows or a fraction"
            yield recipe.problem("R263", message, at=("splits", name), hint=hint)
    sizes = [splits.get(name) for name in ("validation", "holdout")]
    shares = [size for size in sizes if isinstance(size, float) and size < 1]
    shares += [1 / splits["folds"]] if splits["folds"] > 1 else []
    if splits.get("train", "all") == "all" and sum(shares) > 1 - _ROUNDING:
        drawn = f"validation and holdout are {sum(shares):.4g} of the rows"
        message = f"{drawn}; none is left to train on"
        yield recipe.problem("R265", message, at=("splits",), key=True)
