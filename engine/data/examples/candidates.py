"""Rows into candidates: rows that may become examples, and what kept the other rows out."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Self

from engine.data.checks.findings import Preparation, Quote, Rejects, drop_reason
from engine.data.checks.rows.base import RowCheck, rows_that, texts
from engine.data.checks.rows.control_characters import CONTROL_CHARACTERS, MOJIBAKE, TEMPLATE_TOKENS
from engine.data.checks.rows.personal_data import PERSONAL_DATA, mask
from engine.data.examples.answers import READING_ERRORS
from engine.data.examples.chat_formats import shape_of
from engine.data.examples.example import content_key
from engine.data.examples.template import Fill, Filled, MissingColumnError, UnusableValueError
from engine.data.examples.unusable_rows import UnusableRows
from engine.data.kinds import filler
from engine.data.reading.row import Row, several
from engine.data.row_index import BATCH, Assignment, drawn, drawn_all
from engine.data.splitting.column import (
    GroupSpellings,
    NoMarkError,
    TimeSpellings,
    group_key,
    mark_of,
    place_of,
    seconds_of,
)
from engine.recipe.model import Checks

ROW_CHECKS: Final = (MOJIBAKE, CONTROL_CHARACTERS, TEMPLATE_TOKENS, PERSONAL_DATA)
SIGNS: Final = re.compile(f"[{''.join(check.signs for check in ROW_CHECKS)}]")
"""A row without one of these characters is right by all of these checks."""
MOST_CHARACTERS: Final = 1_000_000
"""Of candidates that are written into the pool at once."""


def answer_key(target: str, payload: str) -> int:
    """Return 64 bits of an answer, as the pool keeps them."""
    content = target.encode(errors="surrogatepass") + payload.encode("ascii")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def row_checks(checks: Checks) -> tuple[RowCheck, ...]:
    """Return the checks that look at one row and are not off; `mask` looks for nothing."""
    return tuple(one for one in ROW_CHECKS if getattr(checks, one.name) not in ("off", "mask"))


class RowCollector:
    """One pass over the rows: candidates go into the pool, what cannot be used is counted in the findings."""

    def __init__(self, work: Preparation) -> None:
        self._work, self._pool, self._findings = work, work.pool, work.findings
        self.read_by_source: Counter[int] = Counter()
        self.formats: dict[int, str] = {}
        """Chat format, or `columns`, by number of the source."""
        self._unusable = UnusableRows(work)
        self._fills: dict[int, Fill] = {}
        self._strata: dict[tuple[str, ...], int] = {}
        # Labels are few and stand in many rows; texts are neither.
        self._answer_key = lru_cache(answer_key) if work.task.labels else answer_key
        self._groups, self._times = GroupSpellings(work.splits.seed), TimeSpellings()
        self._masked, self._masked_values = Rejects(), 0
        self._waiting: list[tuple[Row, Filled, str]] = []
        """Candidates, each with its value in the column of the splits, that are not in the pool yet."""
        self._size = 0
        """Characters of their inputs."""
        self._checks = [(check, Rejects()) for check in row_checks(work.data.checks)]

    def add(self, row: Row) -> bool:
        """Turn a row into a candidate, or count why it is none; return whether it is one."""
        self.read_by_source[row.source] += 1
        self._unusable.note_columns(row)
        if row.source not in self._fills:
            task, data = self._work.task, self._work.data
            shape = shape_of(task, data, row.values)  # the first row says its format
            self.formats[row.source] = shape
            self._fills[row.source] = filler(task, data, shape)
        try:
            filled = masked = self._fills[row.source](row.values)
        except READING_ERRORS as error:
            self._unusable.add(row, error)
            return False
        if not self._unusable.is_complete(row.origin, filled):
            return False
        if any(map(SIGNS.search, texts(filled))):
            # Masks before checks: a check that ran first would write down what the mask hides.
            if self._work.data.checks.personal_data == "mask":
                masked, count = mask(filled)
                if count:
                    self._masked.add(row.origin)
                    self._masked_values += count
                    self._findings.row(PERSONAL_DATA.name, row.origin, masked=count)
            if self._is_dropped(row, masked):
                return False
        # First: a row whose split cannot be read must leave no number behind, as all arrays of the
        # pool have one length.
        mark = self._split_value(row, masked)
        if mark is None:
            return False
        if masked.input != filled.input:
            # A lock from before the mask knows the row by this text (`splitting.recorded`).
            key = content_key(filled.input)
            self._pool.unmasked[len(self._pool) + len(self._waiting)] = int.from_bytes(key[:8])
        self._waiting.append((row, masked, mark))
        self._size += len(masked.input)
        if len(self._waiting) == BATCH or self._size > MOST_CHARACTERS:
            self._write()
        return True

    def _is_dropped(self, row: Row, filled: Filled) -> bool:
        """Look at a row with every check; return whether one drops it."""
        dropped_by, read = [], texts(filled)
        for check, rejects in self._checks:
            what = check.look(read)
            if what is None:
                continue
            rejects.add(Quote(len(self._pool) + len(self._waiting), row.origin, what))
            self._findings.row(check.name, row.origin, what=what)
            if getattr(self._work.data.checks, check.name) == "drop":
                dropped_by.append(check.name)
        if dropped_by:
            self._findings.drop(drop_reason(dropped_by[0]), 1)
        return bool(dropped_by)

    def _write(self) -> None:
        """Write the candidates that wait into the pool."""
        pool, work = self._pool, self._work
        rows, filled = [row for row, _, _ in self._waiting], [one for _, one, _ in self._waiting]
        for one in filled:
            if one.labels not in self._strata:
                self._strata[one.labels] = len(self._strata)
                pool.strata.append(one.labels)
        inputs = [one.input for one in filled]
        keys = [content_key(text) for text in inputs]
        # The payload too, since two answers may share their first text.
        pool.answer.extend(
            self._answer_key(
                one.target, json.dumps(one.payload, sort_keys=True) if one.payload else ""
            )
            for one in filled
        )
        pool.stratum.extend([self._strata[one.labels] for one in filled])
        pool.source.extend([row.source for row in rows])
        pool.alive.extend(b"\1" * len(rows))
        pool.key.extend([int.from_bytes(key[:8]) for key in keys])
        # Split and sample are drawn with different purposes: with one rank for both, a sample
        # would be filled from the holdout first.
        pool.rank.extend(drawn_all("split", work.splits.seed, keys))
        if work.data.sample is not None:
            pool.sample.extend(drawn_all("sample", work.data.sample.seed, keys))
        pool.origin.extend([row.origin for row in rows])
        pool.input.extend(inputs)
        pool.target.extend([one.target for one in filled])
        pool.mark.extend([mark for _, _, mark in self._waiting])
        pool.payload.extend([json.dumps(one.payload) if one.payload else "" for one in filled])
        self._waiting, self._size = [], 0

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
        # Not every format of pairs has a column of that name.
        is_input = splits.by == "group" and splits.column == self._work.task.spec.group
        try:
            value = filled.input if is_input else mark_of(row.values, splits.column)
            match splits.by:
                case "group":
                    if not is_input:
                        self._groups.note(value)
                    pool.unit.append(drawn("split", splits.seed, group_key(value)))
                case "time":
                    pool.time.append(seconds_of(value))
                    self._times.note(value, row.origin)
                case "column":
                    pool.place.append(place_of(value))
        except MissingColumnError as error:
            self._unusable.add_missing(row, str(error))
        except (NoMarkError, UnusableValueError) as error:
            self._unusable.split_values.add(f"{row.origin} {error}")
        else:
            return value
        return None

    def finish(self) -> None:
        """Report everything that was counted."""
        self._write()
        self._unusable.report(self.read_by_source.total())
        report = self._work.report
        for check, rejects in self._checks:
            if rejects.count:
                message = rows_that(rejects.count, *check.finding)
                report(check.name, rejects.count, message=message, examples=rejects.places)
        if count := self._masked.count:
            message = f"{self._masked_values:,} values in {count:,} rows are behind placeholders"
            report(PERSONAL_DATA.name, count, message=message, examples=self._masked.places)
        if groups := list(self._groups.found(self._pool.unit)):
            what = several(len(groups), "group is", "groups are")
            message = f"{what} written in several ways, so rows of one may be in several splits"
            self._findings.report("splits", "warn", len(groups), message=message, examples=groups)
        if times := self._times.problem():
            number, message, firsts = times
            self._findings.report("splits", "warn", number, message=message, examples=firsts)

    def collect(self, rows: Iterable[Row]) -> Self:
        """Read and check every row, and report what was found."""
        for row in rows:
            self.add(row)
        self.finish()
        return self
