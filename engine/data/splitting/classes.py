"""Every class stands in every split, or the report names which does not."""

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Final

from engine.data.checks.all_rows import count_labels
from engine.data.checks.findings import Preparation
from engine.data.reading.row import several
from engine.data.row_index import Assignment, Pool
from engine.data.splitting.groups import split_problem
from engine.data.splitting.splits import ORDER, Division
from engine.errors import Problem
from engine.recipe.model import Splits

TOO_SMALL: Final = "D312"
MIN_HOLDOUT: Final = 2
"""Rows of each class below which nothing is reported about it."""


def check_split_classes(work: Preparation, division: Division) -> None:
    """Refuse a holdout of one class only, and tell each class that is too small in a split."""
    problems = list(class_problems(work.pool, division, work.task.labels, work.splits))
    small = [problem.message for problem in problems if problem.code == TOO_SMALL]
    is_refused = work.data.checks.missing_classes == "fail"
    work.findings.problems += [one for one in problems if is_refused or one.code != TOO_SMALL]
    if small and not is_refused:
        message = "classes with too few rows in a split"
        work.report("missing_classes", len(small), message=message, examples=small)


def class_problems(
    pool: Pool, division: Division, labels: tuple[str, ...], splits: Splits
) -> Iterator[Problem]:
    counts = {name: count_labels(pool, division.rows(pool, name)) for name in ORDER}
    rows = {name: sum(count.values()) for name, count in counts.items()}
    total = count_labels(pool, pool.living())
    alone = [label for label, count in counts["holdout"].items() if count]
    has_one_class = len(labels) > 1 and len(alone) == 1
    if has_one_class:
        which = (
            f"every one of the {rows['holdout']:,} holdout rows"
            if rows["holdout"] > 1
            else "the only holdout row"
        )
        message = f"{which} has the label `{alone[0]}`"
        others = sum(total.values()) - total[alone[0]]
        larger = ", or enlarge the holdout" if others else ""
        hint = f"{several(others, 'row')} of other labels could be drawn: add such rows{larger}"
        if splits.by in ("files", "column"):
            hint = "use a file with the true labels; masked test files name one label everywhere"
        yield split_problem("D361", message, "holdout", hint)
    # A class without rows is reported by the check of missing classes. In a holdout of one class,
    # every other one is too small as well, which says less.
    for label, name in product(filter(total.get, labels), ORDER):
        count = counts[name].get(label, 0)
        least = MIN_HOLDOUT if name == "holdout" and not splits.folds else 1
        is_explained = has_one_class and name == "holdout"
        if getattr(splits, name) and rows[name] and count < least and not is_explained:
            message = f"label `{label}` has {several(count, 'row')} in {name}, at least {least} are needed"
            message += f"; it has {several(total[label], 'row')} in all"
            needed = -(-least * sum(total.values()) // rows[name])
            hint = _small_class_hint(needed, splits, has_enough=total[label] >= needed)
            yield split_problem(TOO_SMALL, message, name, hint)


def check_left_to_train(work: Preparation, division: Division) -> None:
    """Refuse training rows of which the checks have left none, or one class only."""
    pool, findings = work.pool, work.findings
    if not work.splits.train or findings.problems:
        return
    left = division.rows(pool, "train")
    classes = [label for label, count in count_labels(pool, left).items() if count]
    if len(left) and (len(work.task.labels) < 2 or len(classes) > 1):
        return
    checks = Counter(
        check for place, check in division.dropped.values() if place is Assignment.TRAIN
    )
    taken = ", ".join(f"{count:,} by {check}" for check, count in checks.most_common())
    message = f"of {several(len(left) + checks.total(), 'training row')} "
    message += f"{len(left):,} {'is' if len(left) == 1 else 'are'} left"
    message += f", with no other label than `{classes[0]}`" if classes else ""
    message += f" (left out: {taken})" if taken else ""
    hint = "use training rows of every label"
    if checks:
        check = checks.most_common(1)[0][0]
        hint = (
            f"`recipe data` shows the rows; other rows are needed, or `data.checks.{check}: warn`"
        )
    findings.refuse("D435", message, "splits.train", hint)


def _small_class_hint(needed: int, splits: Splits, *, has_enough: bool) -> str:
    if splits.by in ("files", "column"):
        return "add rows of that label, or write `data.checks.missing_classes: warn`"
    sizes = (splits.train, splits.validation, splits.holdout)
    if has_enough and splits.by == "stratified" and any(isinstance(one, float) for one in sizes):
        return "write the sizes in rows: these are met label by label, and fractions by chance"
    other = "" if splits.by == "stratified" else ", or use `by: stratified`"
    # what the draw has left out by chance is not mended by rows that are there already
    rows = (
        ""
        if has_enough
        else f"about {several(needed, 'row')} of that label in all would do; add rows, or "
    )
    return f"{rows}enlarge the split{other}"
