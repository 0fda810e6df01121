"""Rows into candidates: rows that may become examples, and what kept the other rows out.

The texts go to a spill file; memory holds some numbers of each row (`engine.data.row_index`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.data.checks.findings import Preparation, Quote, Rejects, drop_reason
from engine.data.checks.rows.base import RowCheck, TraitCheck
from engine.data.checks.rows.control_characters import (
    ControlCharactersCheck,
    MojibakeCheck,
    TemplateTokensCheck,
)
from engine.data.checks.rows.languages import LanguagesCheck
from engine.data.checks.rows.output_format import OutputFormatCheck
from engine.data.checks.rows.personal_data import PersonalDataCheck, PersonalDataMask
from engine.data.examples.chat_formats import shape_of
from engine.data.examples.example import content_key
from engine.data.examples.reading_errors import READING_ERRORS
from engine.data.examples.template import Fill, Filled, MissingColumnError, UnusableValueError
from engine.data.examples.unusable_rows import UnusableRows
from engine.data.kinds import filler
from engine.data.reading.row import Row, several
from engine.data.row_index import Assignment, SpilledRow, Traits, drawn
from engine.data.splitting.column import (
    GroupSpellings,
    NoMarkError,
    TimeSpellings,
    group_key,
    mark_of,
    place_of,
    seconds_of,
)
from engine.kinds import AnswerForm
from engine.recipe.model import Checks, Task


def row_checks(task: Task, checks: Checks) -> tuple[RowCheck, ...]:
    """Return the checks that look at one row and are not off; `mask` looks for nothing."""
    del task
    every: tuple[RowCheck, ...] = (
        MojibakeCheck(checks.mojibake),
        ControlCharactersCheck(checks.control_characters),
        TemplateTokensCheck(checks.template_tokens),
        PersonalDataCheck(checks.personal_data),
    )
    return tuple(check for check in every if check.action not in ("off", "mask"))


def trait_checks(task: Task, checks: Checks) -> tuple[TraitCheck, ...]:
    """Return the checks that compare rows by a trait and are not off."""
    every: list[TraitCheck] = [LanguagesCheck(checks.languages)]
    if task.spec.answer is AnswerForm.TEXT:  # the engine itself writes the answers of other forms
        every.append(OutputFormatCheck(checks.output_format))
    return tuple(check for check in every if check.action != "off")


def masks(checks: Checks) -> tuple[PersonalDataMask, ...]:
    return (PersonalDataMask(),) if checks.personal_data == "mask" else ()


@dataclass(slots=True)
class CollectedRows:
    read_by_source: Counter[int] = field(default_factory=Counter)
    """Rows by number of their source."""
    formats: dict[int, str] = field(default_factory=dict)
    """Chat format, or `columns`, by number of the source."""


def collect_rows(rows: Iterable[Row], work: Preparation) -> CollectedRows:
    """Read and check every row; what cannot be used is counted in the findings and left out."""
    collector = RowCollector(work)
    for row in rows:
        collector.add(row)
    return collector.finish()


class RowCollector:
    def __init__(self, work: Preparation) -> None:
        self._work, self._pool, self._findings = work, work.pool, work.findings
        self._collected = CollectedRows()
        self._unusable = UnusableRows(work)
        self._fills: dict[int, Fill] = {}
        self._strata: dict[tuple[str, ...], int] = {}
        self._groups, self._times = GroupSpellings(work.splits.seed), TimeSpellings()
        checks = work.data.checks
        self._masks = [(mask, Rejects(), Rejects()) for mask in masks(checks)]
        self._checks = [(check, Rejects()) for check in row_checks(work.task, checks)]
        self._pool.traits += map(Traits, trait_checks(work.task, checks))

    def add(self, row: Row) -> None:
        self._collected.read_by_source[row.source] += 1
        self._unusable.note_columns(row)
        try:
            filled = self._fill(row)(row.values)
        except READING_ERRORS as error:
            self._unusable.add(row, error)
            return
        if not self._unusable.is_complete(row.origin, filled):
            return
        # Masks before checks: a check that ran first would write down what the mask hides.
        masked = self._masked(row.origin, filled)
        is_kept = self._passes(row.origin, masked) and self._keep(row, masked)
        if is_kept and masked.input != filled.input:
            # A lock from before the mask knows the row by this text (`splitting.recorded`).
            key = content_key(filled.input)
            self._pool.unmasked[len(self._pool) - 1] = int.from_bytes(key[:8])

    def finish(self) -> CollectedRows:
        self._unusable.report(self._collected.read_by_source.total())
        self._report_checks()
        self._report_spellings()
        return self._collected

    def _fill(self, row: Row) -> Fill:
        if row.source not in self._fills:
            task, data = self._work.task, self._work.data
            shape = shape_of(task, data, row.values)
            self._collected.formats[row.source] = shape
            self._fills[row.source] = filler(task, data, shape)
        return self._fills[row.source]

    def _masked(self, origin: str, filled: Filled) -> Filled:
        for mask, rows, values in self._masks:
            filled, count = mask.apply(filled)
            if count:
                rows.add(origin)
                values.count += count
                self._findings.row(mask.name, origin, masked=count)
        return filled

    def _passes(self, origin: str, filled: Filled) -> bool:
        dropped_by = []
        for check, rejects in self._checks:
            what = check.look(filled)
            if what is None:
                continue
            rejects.add(Quote(len(self._pool), origin, what))
            self._findings.row(check.name, origin, what=what)
            if check.action == "drop":
                dropped_by.append(check.name)
        if dropped_by:
            self._findings.drop(drop_reason(dropped_by[0]), 1)
        return not dropped_by

    def _keep(self, row: Row, filled: Filled) -> bool:
        # First: a row whose split cannot be read must leave no number behind, as all arrays of the
        # pool have one length.
        mark = self._split_value(row, filled)
        if mark is None:
            return False
        pool, work = self._pool, self._work
        if filled.labels not in self._strata:
            self._strata[filled.labels] = len(self._strata)
            pool.strata.append(filled.labels)
        pool.stratum.append(self._strata[filled.labels])
        pool.answer.append(_answer_hash(filled))
        pool.source.append(row.source)
        pool.alive.append(1)
        key = content_key(filled.input)
        pool.key.append(int.from_bytes(key[:8]))
        # Split and sample are drawn with different purposes: with one rank for both, a sample
        # would be filled from the holdout first.
        pool.rank.append(drawn("split", work.splits.seed, key))
        if work.data.sample is not None:
            pool.sample.append(drawn("sample", work.data.sample.seed, key))
        for traits in pool.traits:
            traits.note(traits.check.trait(filled))
        record = SpilledRow(
            origin=row.origin,
            input=filled.input,
            target=filled.target,
            labels=filled.labels,
            payload=filled.payload,
            mark=mark,
        )
        pool.spill.add(record)
        return True

    def _split_value(self, row: Row, filled: Filled) -> str | None:
        """Return the value in the column of the splits, `` where there is none; None: cannot be read."""
        splits, pool = self._work.splits, self._pool
        if splits.by == "files":
            into = self._work.data.sources[row.source].into or "train"
            pool.place.append(Assignment[into.upper()])
        if splits.by == "files_order":
            # The place among the rows that were read takes that of a time.
            pool.time.append(float(len(pool.time)))
        if not splits.column:
            return ""
        try:
            value = self._mark(row, filled)
            match splits.by:
                case "group":
                    pool.unit.append(drawn("split", splits.seed, group_key(value)))
                case "time":
                    pool.time.append(seconds_of(value))
                    self._times.note(value, row.origin)
                case "column":
                    pool.place.append(place_of(value))
        except MissingColumnError as error:
            self._unusable.add_missing(row, str(error))
        except (NoMarkError, UnusableValueError) as error:
            self._unusable.add_split_value(row, error)
        else:
            return value
        return None

    def _mark(self, row: Row, filled: Filled) -> str:
        """Return the value in the column of the splits; errors as `mark_of`."""
        splits = self._work.splits
        # Not every format of pairs has a column of that name.
        if splits.by == "group" and splits.column == self._work.task.spec.group:
            return filled.input
        value = mark_of(row.values, splits.column)
        if splits.by == "group":
            self._groups.note(value)
        return value

    def _report_spellings(self) -> None:
        if groups := list(self._groups.found(self._pool.unit)):
            what = several(len(groups), "group is", "groups are")
            message = f"{what} written in several ways, so rows of one may be in several splits"
            self._findings.report("splits", "warn", len(groups), message=message, examples=groups)
        if times := self._times.problem():
            count, message, firsts = times
            self._findings.report("splits", "warn", count, message=message, examples=firsts)

    def _report_checks(self) -> None:
        for check, rejects in self._checks:
            if rejects.count:
                message = check.message(rejects.count)
                self._work.report(
                    check.name, rejects.count, message=message, examples=rejects.places
                )
        for mask, rows, values in self._masks:
            if rows.count:
                message = f"{values.count:,} values in {rows.count:,} rows are behind placeholders"
                self._work.report(mask.name, rows.count, message=message, examples=rows.places)


def _answer_hash(filled: Filled) -> int:
    # 64 bits, as the pool keeps them; the payload too, since two answers may share their first
    # text.
    digest = hashlib.blake2b(filled.target.encode(errors="surrogatepass"), digest_size=8)
    if filled.payload:
        digest.update(json.dumps(filled.payload, sort_keys=True).encode("ascii"))
    return int.from_bytes(digest.digest())
