"""From rows to splits: fill, check, sample, divide, compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.data.checks import all_rows
from engine.data.checks.all_rows import check_spoiled
from engine.data.checks.findings import Findings, Preparation, Step
from engine.data.checks.model_checks import check_label_marks, drop_doubted, find_doubted
from engine.data.examples.candidates import RowCollector
from engine.data.examples.output import (
    Examples,
    Outcome,
    occurrences,
    split_digest,
    summarise,
    weigh,
)
from engine.data.membership import Membership
from engine.data.reading.row import Row
from engine.data.row_index import Assignment
from engine.data.similarity.overlap import check_leakage, shared_texts, with_left
from engine.data.splitting.classes import check_left_to_train, check_split_classes
from engine.data.splitting.recorded import JUDGING, held_by, know_again, membership, what_became
from engine.data.splitting.replacements import replace_dropped
from engine.data.splitting.splits import Division, divide
from engine.errors import DataError, Problem
from engine.evidence import DataSummary
from engine.kinds import AnswerForm
from engine.recipe.methods import asked_sizes
from engine.recipe.model import FROM_TRAIN, Data, SplitName, Splits, Task
from engine.values import Value, replace

__all__ = ["Examples", "Prepared", "UnfitDataError", "prepare", "split_digest"]

DRAWN_PER_SAMPLED = 4
"""Rows that slow checks with `drop` see for each row of a sample: the others replace what they drop."""
IN_ORDER: tuple[SplitName, ...] = ("train", "validation", "holdout")


class UnfitDataError(DataError):
    """The rows were read, but a check or a size refuses them."""

    def __init__(self, problems: Sequence[Problem], prepared: Prepared) -> None:
        super().__init__(problems)
        self.prepared = prepared
        self.summary = prepared.summary


class Prepared(Value):
    train: Examples
    validation: Examples
    holdout: Examples
    summary: DataSummary
    membership: Membership
    problems: tuple[Problem, ...]
    """What refuses the data; empty unless `prepare` was asked not to refuse."""
    findings: Findings


def prepare(  # noqa: PLR0913 - the parts of a recipe, and how
    rows: Iterable[Row],
    task: Task,
    *,
    data: Data,
    splits: Splits,
    recorded: Membership | None = None,
    scratch: Path | None = None,
    refuse: bool = True,
    thorough: bool = True,
    step: Step = lambda _, __: None,
) -> Prepared:
    """Return the three splits of `rows` and their summary.

    `recorded` holds holdout and validation to their rows. `scratch` is the folder for temporary
    files. Without `refuse`, problems are returned instead of raised. Without `thorough`, slow
    checks that move no row are left out; the splits are the same. `step` is given what is done once
    the rows are read.

    Raises:
        UnfitDataError: with every problem: rows that cannot be used, checks that say `fail`, too
            few rows.

    """
    held = None if recorded is None else held_by(recorded)
    work = Preparation(task, data, splits, scratch=scratch, step=step, held=held, thorough=thorough)
    pool, findings = work.pool, work.findings
    collected = RowCollector(work).collect(rows)
    work.step("comparing equal texts", len(pool))
    pool.arrange()
    # Before the checks: of two copies they keep the one that is recorded for the stricter split.
    if work.held is not None:
        know_again(pool, work.held)
    # Before the checks, which may drop one of two copies: what the files say of the splits is
    # counted as it was written.
    shared = shared_texts(work)
    all_rows.check_conflicts(work)
    all_rows.check_duplicates(work)
    all_rows.check_traits(work)
    doubted = _sample_and_check(work)
    labels = all_rows.count_labels(pool, pool.living())
    all_rows.check_imbalance(work, labels)
    explained = bool(findings.problems)
    if not explained:
        all_rows.check_missing_classes(work, labels)
    work.step("dividing the rows", len(pool))
    division = _divide(work, explained=explained)
    work.step("comparing training rows with the holdout", len(pool))
    found, matches = check_leakage(work, division, shared)
    # After the division: only now it is known which doubted rows are in the holdout and must stay.
    if work.data.checks.label_errors == "drop":
        drop_doubted(division, doubted, findings)
    replace_dropped(work, division, set(doubted))
    found = replace(found, compared=found.compared + division.replaced)
    seed = work.splits.seed
    # Before anything is counted: it leaves out rows of a source of little weight.
    repeats = weigh(pool, division, work.data.sources, seed=seed, findings=findings)
    check_left_to_train(work, division)
    outcome = Outcome(
        work=work,
        collected=collected,
        division=division,
        repeats=repeats,
        again=occurrences(pool, division.places),
        firewall=with_left(found, matches, division),
        recorded=None if work.held is None else what_became(pool, division.places, work.held),
    )
    examples = {name: Examples(outcome, name) for name in IN_ORDER}
    prepared = Prepared(
        **examples,
        summary=summarise(outcome, examples),
        membership=membership(pool, division.drawn, division.places),
        problems=tuple(findings.problems),
        findings=findings,
    )
    if refuse and prepared.problems:
        raise UnfitDataError(prepared.problems, prepared)
    return prepared


def _sample_and_check(work: Preparation) -> Iterable[int]:
    """Draw the sample, run the slow checks on what is drawn, return the rows whose label is doubted."""
    checks, sample = work.data.checks, work.data.sample
    drops = "drop" in (checks.near_duplicates, checks.label_in_input)
    if sample is not None and len(work.pool.living()) >= sample.rows:
        # Before the slow checks, which then see a few times the sample and not all rows.
        _keep(work, sample.rows * (DRAWN_PER_SAMPLED if drops else 1))
    doubted = _check_slowly(work)
    left = len(work.pool.living())
    if sample is None:
        return doubted
    # A shortage is no problem of its own where an earlier problem already explains it.
    if left < sample.rows and not work.findings.problems:
        message = f"{sample.rows:,} rows asked for, {left:,} are left after the checks"
        hint = f"`rows: {left}` takes them all"
        work.findings.refuse("D313", message, "data.sample.rows", hint)
    _keep(work, sample.rows)
    return doubted


def _keep(work: Preparation, rows: int) -> None:
    pool, held = work.pool, work.held
    ranked = sorted(pool.living(), key=pool.sample.__getitem__)
    if held is not None:
        # The sort is stable: within each half the order of the sample stays. A recorded
        # holdout keeps its rows even where the sample would have left them out.
        ranked.sort(key=lambda row: held.of(pool.identity(row)) not in JUDGING)
    work.findings.drop("not sampled", pool.leave_out(ranked[rows:]))


def _check_slowly(work: Preparation) -> Iterable[int]:
    """Run the checks that compare all rows or fit models; what moves no row only if thorough."""
    checks = work.data.checks
    if _is_wanted(work, checks.near_duplicates):
        work.step("looking for near duplicates", len(work.pool))
        all_rows.check_near_duplicates(work)
    if _is_wanted(work, checks.mojibake):
        check_spoiled(work)
    if work.task.spec.answer is not AnswerForm.LABEL:
        return ()
    if _is_wanted(work, checks.label_in_input):
        work.step("looking for labels in the texts", len(work.pool))
        check_label_marks(work)
    if _is_wanted(work, checks.label_errors):
        work.step("looking for doubtful labels", len(work.pool))
        return find_doubted(work)
    return ()


def _is_wanted(work: Preparation, action: str) -> bool:
    # `drop` moves rows, so it runs always: the splits must be the same with and without `thorough`.
    return action == "drop" or (work.thorough and action != "off")


def _divide(work: Preparation, *, explained: bool) -> Division:
    pool, findings = work.pool, work.findings
    division = divide(pool, work.splits, work.held)
    if not explained:
        findings.problems += division.problems
    if not explained and not division.problems:
        check_split_classes(work, division)
    used = len(division.places) - division.places.count(Assignment.NONE)
    findings.drop("text of another split", division.torn)
    findings.drop("in no split", len(pool.living()) - used - division.torn)
    _report_sizes(work, division)
    return division


def _report_sizes(work: Preparation, division: Division) -> None:
    """Say how many training rows validate, and which sizes whole groups or equal times could not meet."""
    splits = work.splits
    if splits.validation == FROM_TRAIN and not division.problems:
        drawn, left = (len(division.rows(work.pool, name)) for name in ("validation", "train"))
        message = (
            f"{drawn:,} of {drawn + left:,} training rows are validation rows: `method.keep: best` chooses by them, "
            "and `splits.validation` is 0"
        )
        work.findings.report("splits", "warn", drawn, message=message)
    if splits.by not in ("group", "time") or division.problems:
        return
    sizes = asked_sizes(splits)
    missed = [
        f"{name}: {rows:,} rows, {asked:,} asked for"
        for name in IN_ORDER
        if isinstance(asked := sizes[name], int)
        and (rows := len(division.rows(work.pool, name))) != asked
    ]
    if missed:
        what = "groups" if splits.by == "group" else "equal times"
        message = f"{what} stay together, so not every split has the size asked for"
        work.findings.report("splits", "warn", len(missed), message=message, examples=missed)
