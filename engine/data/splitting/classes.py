"""Every class stands in every split, or the report names which does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.data.checks.all_rows import count_labels
from engine.data.checks.findings import Findings
from engine.data.reading.row import several
from engine.data.row_index import Pool
from engine.data.splitting.groups import split_problem
from engine.data.splitting.splits import ORDER, Division
from engine.errors import Problem
from engine.recipe.model import CheckAction, SplitName, Splits

MIN_HOLDOUT: Final = 2
"""Rows of each class below which nothing is reported about it."""


def check_split_classes(
    pool: Pool,
    division: Division,
    labels: tuple[str, ...],
    *,
    splits: Splits,
    action: CheckAction,
    findings: Findings,
) -> None:
    """Tell each class that is too small in a split, and a holdout of one class only.

    `action` is that of `missing_classes`: unless it is `fail`, small classes are reported as findings.
    """
    counts = {name: count_labels(pool, division.rows(pool, name)) for name in ORDER}
    total = count_labels(pool, pool.living())
    problems = list(_too_small(counts, total, labels, splits))
    alone = [label for label, count in counts["holdout"].items() if count]
    if len(labels) > 1 and len(alone) == 1:
        rows = sum(counts["holdout"].values())
        message = f"every one of the {rows:,} holdout rows has the label `{alone[0]}`"
        hint = "use a file with the true labels; masked test files name one label everywhere"
        findings.problems.append(split_problem("D361", message, "holdout", hint))
        # Every other class is too small there as well, which says less.
        problems = [problem for problem in problems if problem.path != "splits.holdout"]
    if action == "fail":
        findings.problems += problems
    elif problems and action == "warn":
        examples = [problem.message for problem in problems]
        message = "classes with too few rows in a split"
        findings.report(
            "missing_classes", "warn", len(problems), message=message, examples=examples
        )


def _too_small(
    counts: Mapping[SplitName, Mapping[str, int]],
    total: Mapping[str, int],
    labels: tuple[str, ...],
    splits: Splits,
) -> Iterator[Problem]:
    everything = sum(total.values())
    for label in labels:
        if not total.get(label):
            continue  # reported by the check of missing classes
        for name in ORDER:
            rows = sum(counts[name].values())
            count = counts[name].get(label, 0)
            least = MIN_HOLDOUT if name == "holdout" and not splits.folds else 1
            if getattr(splits, name) and rows and count < least:
                message = (
                    f"label `{label}` has {several(count, 'row')} in {name}, at least {least} are"
                )
                message += f" needed; it has {several(total[label], 'row')} in all"
                hint = _small_class_hint(-(-least * everything // rows), splits)
                yield split_problem("D312", message, name, hint)


def _small_class_hint(needed: int, splits: Splits) -> str:
    if splits.by in ("files", "column"):
        return "add rows of that label, or write `data.checks.missing_classes: warn`"
    other = "" if splits.by == "stratified" else ", or use `by: stratified`"
    rows = several(needed, "row")
    return f"about {rows} of that label in all would do; add rows, or enlarge the split{other}"
