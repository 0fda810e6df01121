"""From rows to splits: fill, check, sample, divide, compare. Every problem is reported at once.

Reads an iterator once; texts go to a spill file, memory holds about 50 bytes a row. The order of
the rows changes nothing but the origins of rows that repeat each other word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.data.checks.all_rows import (
    check_conflicts,
    check_duplicates,
    check_imbalance,
    check_missing_classes,
    check_near_duplicates,
    check_traits,
    count_labels,
)
from engine.data.checks.findings import Findings
from engine.data.checks.model_checks import check_label_marks, drop_doubted, find_doubted
from engine.data.examples.candidates import CandidateOptions, collect_rows
from engine.data.examples.output import Examples, Outcome, occurrences, split_digest
from engine.data.membership import Membership
from engine.data.reading.row import Row
from engine.data.row_index import Assignment, Pool
from engine.data.similarity.overlap import check_leakage, shared_texts, with_left
from engine.data.spill import Spill
from engine.data.splitting.classes import check_split_classes
from engine.data.splitting.recorded import (
    RecordedSplits,
    held_by,
    know_again,
    membership,
    what_became,
)
from engine.data.splitting.splits import Division, divide
from engine.data.splitting.weights import weigh
from engine.data.summary import PreparationFacts, summarise
from engine.errors import DataError, Problem
from engine.evidence import DataSummary
from engine.kinds import AnswerForm
from engine.recipe.model import Data, SplitName, Splits, Task

__all__ = ["Examples", "Prepared", "UnfitDataError", "prepare", "split_digest"]

DRAWN_PER_SAMPLED = 4
"""Rows that slow checks with `drop` see for each row of a sample: the others replace what they drop."""
Step = Callable[[str, int], None]
"""Is given what is done next, and with how many rows."""
IN_ORDER: tuple[SplitName, ...] = ("train", "validation", "holdout")


class UnfitDataError(DataError):
    """The rows were read, but a check or a size refuses them."""

    def __init__(self, problems: Sequence[Problem], prepared: Prepared) -> None:
        """Keep what was prepared in spite of the problems."""
        super().__init__(problems)
        self.prepared = prepared
        self.summary = prepared.summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The splits and what was found on the way."""

    train: Examples
    validation: Examples
    holdout: Examples
    summary: DataSummary
    membership: Membership
    """Which texts stand in which split, and which were drawn for it and left out: what the lock records."""
    problems: tuple[Problem, ...]
    """What refuses the data; empty unless `prepare` was asked not to refuse."""
    findings: Findings
    """Every row of every finding: `copy_rows` writes them to a file."""


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
    work = _Work(
        asked=CandidateOptions(task=task, data=data, splits=splits),
        pool=Pool(spill=Spill(scratch)),
        findings=Findings(scratch),
        held=None if recorded is None else held_by(recorded),
        scratch=scratch,
        thorough=thorough,
        step=step,
    )
    prepared = work.prepared(rows)
    if refuse and prepared.problems:
        raise UnfitDataError(prepared.problems, prepared)
    return prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One preparation: the steps share these."""

    asked: CandidateOptions
    pool: Pool
    findings: Findings
    held: RecordedSplits | None
    scratch: Path | None
    thorough: bool
    step: Step

    def prepared(self, rows: Iterable[Row]) -> Prepared:
        """Run the steps in their order."""
        asked, pool, findings = self.asked, self.pool, self.findings
        checks, splits = asked.data.checks, asked.splits
        collected = collect_rows(rows, asked, pool=pool, findings=findings)
        self.step("comparing equal texts", len(self.pool))
        pool.arrange()
        # Before the checks: of two copies they keep the one that is recorded for the stricter
        # split.
        if self.held is not None:
            know_again(pool, self.held)
        # Before the checks, which may drop one of two copies: what the files say of the splits is
        # counted as it was written.
        shared = shared_texts(pool, findings)
        check_conflicts(pool, asked.task, checks.conflicting_labels, findings)
        check_duplicates(pool, asked.task, checks.duplicates, findings, held=self.held)
        check_traits(pool, findings)
        doubted = self._sample_and_check()
        labels = count_labels(pool, pool.living())
        check_imbalance(labels, checks.imbalance, findings)
        explained = bool(findings.problems)
        if not explained:
            check_missing_classes(labels, asked.task, checks, findings)
        self.step("dividing the rows", len(self.pool))
        division = self._divide(explained=explained)
        self.step("comparing training rows with the holdout", len(self.pool))
        found, pairs = check_leakage(
            pool, division, checks.leakage, findings, shared, thorough=self.thorough
        )
        # After the division: only now it is known which doubted rows are in the holdout and must
        # stay.
        if checks.label_errors == "drop":
            drop_doubted(division, doubted, findings)
        repeats = weigh(pool, division, asked.data.sources, seed=splits.seed, findings=findings)
        members = membership(pool, division.drawn, division.places)
        recorded = None if self.held is None else what_became(pool, division.places, self.held)
        outcome = Outcome(
            pool=pool,
            division=division,
            repeats=repeats,
            is_grouped=splits.by == "group",
            again=occurrences(pool, division.places),
        )
        examples = {name: Examples(outcome, name) for name in IN_ORDER}
        facts = PreparationFacts(
            collected=collected,
            splits=examples,
            repeats=repeats,
            firewall=with_left(found, pairs, division),
            recorded=recorded,
        )
        return Prepared(
            **examples,
            summary=summarise(facts, asked, findings, self.scratch),
            membership=members,
            problems=tuple(findings.problems),
            findings=findings,
        )

    def _sample_and_check(self) -> tuple[int, ...]:
        """Draw the sample, run the slow checks on what is drawn, return the rows whose label is doubted.

        Where they drop rows, more are drawn first, so that others take the places of those dropped.
        """
        checks = self.asked.data.checks
        drops = "drop" in (checks.near_duplicates, checks.label_in_input)
        sample = self.asked.data.sample
        if sample is not None and len(self.pool.living()) >= sample.rows:
            # Before the slow checks, which then see a few times the sample and not all rows.
            self._keep(sample.rows * (DRAWN_PER_SAMPLED if drops else 1))
        doubted = self._check_slowly()
        left = len(self.pool.living())
        if sample is None:
            return doubted
        # A shortage is no problem of its own where an earlier problem already explains it.
        if left < sample.rows and not self.findings.problems:
            message = f"{sample.rows:,} rows asked for, {left:,} are left after the checks"
            hint = f"`rows: {left}` takes them all"
            self.findings.problems.append(
                Problem(code="D313", message=message, path="data.sample.rows", hint=hint)
            )
        self._keep(sample.rows)
        return doubted

    def _keep(self, rows: int) -> None:
        """Keep the rows that the sample draws first: those that are recorded to judge, then by rank."""
        pool, held = self.pool, self.held
        ranked = sorted(pool.living(), key=pool.sample.__getitem__)
        if held is not None:
            judging = (Assignment.VALIDATION, Assignment.HOLDOUT)
            # The sort is stable: within each half the order of the sample stays. A recorded
            # holdout keeps its rows even where the sample would have left them out.
            ranked.sort(key=lambda row: held.of(pool.identity(row)) not in judging)
        self.findings.drop("not sampled", pool.leave_out(ranked[rows:]))

    def _check_slowly(self) -> tuple[int, ...]:
        """Run the checks that compare all rows or fit models; what moves no row only if thorough.

        Returns the rows whose label is doubted.
        """
        task, checks = self.asked.task, self.asked.data.checks
        pool, findings = self.pool, self.findings
        if self._wanted(checks.near_duplicates):
            self.step("looking for near duplicates", len(self.pool))
            check_near_duplicates(
                pool, checks.near_duplicates, findings, held=self.held, scratch=self.scratch
            )
        if task.spec.answer is not AnswerForm.LABEL:
            return ()
        if self._wanted(checks.label_in_input):
            self.step("looking for labels in the texts", len(self.pool))
            check_label_marks(pool, task.labels, checks.label_in_input, findings)
        if self._wanted(checks.label_errors):
            self.step("looking for doubtful labels", len(self.pool))
            seed = self.asked.splits.seed
            return find_doubted(pool, checks.label_errors, seed, findings)
        return ()

    def _wanted(self, action: str) -> bool:
        # `drop` moves rows, so it runs always: the splits must be the same with and without
        # `thorough`.
        return action == "drop" or (self.thorough and action != "off")

    def _divide(self, *, explained: bool) -> Division:
        """Divide; a shortage is only reported when nothing before it explains it."""
        asked, pool, findings = self.asked, self.pool, self.findings
        division = divide(pool, asked.splits, self.held)
        if not explained:
            findings.problems += division.problems
        if not explained and not division.problems:
            check_split_classes(
                pool,
                division,
                asked.task.labels,
                splits=asked.splits,
                action=asked.data.checks.missing_classes,
                findings=findings,
            )
        used = sum(place != Assignment.NONE for place in division.places)
        findings.drop("text of another split", division.torn)
        findings.drop("in no split", len(pool.living()) - used - division.torn)
        self._report_sizes(division)
        return division

    def _report_sizes(self, division: Division) -> None:
        """Say which sizes whole groups or equal times could not meet."""
        splits = self.asked.splits
        if splits.by not in ("group", "time") or division.problems:
            return
        missed = [
            f"{name}: {len(division.rows(self.pool, name)):,} rows, {asked:,} asked for"
            for name in IN_ORDER
            if isinstance(asked := getattr(splits, name), int)
            and len(division.rows(self.pool, name)) != asked
        ]
        if missed:
            what = "groups" if splits.by == "group" else "equal times"
            message = f"{what} stay together, so not every split has the size asked for"
            self.findings.report("splits", "warn", len(missed), message=message, examples=missed)
