"""Rows into candidates: filled rows that may become examples, and what kept the other rows out.

The texts go to a spill file; memory holds some numbers of each row (`engine.data.row_index`).
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.data.checks.findings import Findings, Quote, Rejects, written
from engine.data.checks.rows import masks, row_checks, trait_checks
from engine.data.checks.rows.texts import rows_that
from engine.data.examples.chat_formats import shape_of
from engine.data.examples.columns import Unseen, columns_named, has_column
from engine.data.examples.example import content_key
from engine.data.examples.label import NoBinError, NoNumberError, meant
from engine.data.examples.template import MissingColumnError, UnusableValueError, as_text, lookup
from engine.data.kinds import filler
from engine.data.kinds.base import Fill, Filled, RejectedError
from engine.data.reading.row import SHOWN, Row, excerpt
from engine.data.row_index import Assignment, Pool, drawn
from engine.data.spill import SpilledRow
from engine.data.splitting.column import PLACES as PLACE_NAMES
from engine.data.splitting.column import NoMarkError, mark_of, place_of, seconds_of
from engine.errors import Problem
from engine.kinds import AnswerForm
from engine.recipe.model import Data, Splits, Task

_INTO: Final[Mapping[str, Assignment]] = {
    "train": Assignment.TRAIN,
    "validation": Assignment.VALIDATION,
    "holdout": Assignment.HOLDOUT,
    "": Assignment.TRAIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateOptions:
    """What the recipe says about the rows."""

    task: Task
    data: Data
    splits: Splits


@dataclass(slots=True)
class Gathered:
    """What became of the rows."""

    pool: Pool
    rows_read: int = 0
    read: Counter[int] = field(default_factory=Counter)
    """Rows by number of their source."""
    shapes: dict[int, str] = field(default_factory=dict)


def gather(
    rows: Iterable[Row], asked: CandidateOptions, *, pool: Pool, findings: Findings
) -> Gathered:
    """Fill and check every row; what cannot be used is counted, told in `findings`, and left out."""
    gatherer = _Gatherer(asked, pool, findings)
    for row in rows:
        gatherer.add(row)
    return gatherer.finish()


class _Gatherer:
    """The state of one pass over the rows."""

    def __init__(self, asked: CandidateOptions, pool: Pool, findings: Findings) -> None:
        self._asked = asked
        self._pool = pool
        self._findings = findings
        self._got = Gathered(pool=pool)
        self._fills: dict[int, Fill] = {}
        self._named = dict(columns_named(asked.task, asked.data, asked.splits))
        self._unseen = Unseen(asked.data)
        self._columns: list[str] = []
        self._missing: dict[tuple[str, str], Rejects] = {}
        self._empty = Rejects()
        self._unanswered = Rejects()
        self._rejected: dict[str, dict[str, Rejects]] = {}
        self._unlabellable = Rejects()
        self._unfillable = Rejects()
        self._unmarked = Rejects()
        self._strata: dict[tuple[str, ...], int] = {}
        checks = asked.data.checks
        self._masks = [(mask, Rejects(), Rejects()) for mask in masks(checks)]
        self._checks = [(check, Rejects()) for check in row_checks(asked.task, checks)]
        for check in trait_checks(asked.task, checks):
            pool.add_trait(check)

    def add(self, row: Row) -> None:
        """Turn a row into a candidate, or count why it is none."""
        self._got.rows_read += 1
        self._got.read[row.source] += 1
        if not self._columns:
            self._columns = list(row.values)
        self._unseen.look(row.origin, row.values)
        filled = self._filled(row)
        if filled is None or not self._is_complete(row.origin, filled):
            return
        masked = self._masked(row.origin, filled)
        is_kept = self._passes(row.origin, masked) and self._keep(row, masked)
        if is_kept and masked.input != filled.input:
            key = content_key(filled.input)
            self._pool.unmasked[len(self._pool) - 1] = int.from_bytes(key[:8])

    def _filled(self, row: Row) -> Filled | None:
        try:
            return self._fill(row)(row.values)
        except NoBinError:
            self._findings.drop("no bin", 1)
        except NoNumberError as error:
            self._unlabellable.add(f"{row.origin} `{excerpt(str(error))}` is not a number")
        except MissingColumnError as error:
            self._count_missing(row, str(error))
        except UnusableValueError as error:
            rejects = self._unlabellable if self._label_is_unusable(row) else self._unfillable
            rejects.add(f"{row.origin} {error}")
        except RejectedError as error:
            self._reject(row.origin, error)
        return None

    def _fill(self, row: Row) -> Fill:
        """Return what fills the rows of this source; the first row says its shape."""
        if row.source not in self._fills:
            task, data = self._asked.task, self._asked.data
            shape = shape_of(task, data, row.values)
            self._got.shapes[row.source] = shape
            self._fills[row.source] = filler(task, data, shape)
        return self._fills[row.source]

    def _count_missing(self, row: Row, missing: str) -> None:
        """Count every column of the recipe that this row lacks, not only the first."""
        if missing in self._unseen.optional:  # no field at all; `Unseen` tells one no row has
            self._unanswered.add(f"{row.origin} has none of the answer's columns")
            return
        needed = self._named.keys() - self._unseen.optional
        lacking = {column for column in needed if not has_column(row.values, column)} | {missing}
        for column in sorted(lacking):
            key = (self._named.get(column, "data"), column)
            self._missing.setdefault(key, Rejects()).add(row.origin)

    def _label_is_unusable(self, row: Row) -> bool:
        label = self._asked.data.label
        try:
            return label is not None and as_text(lookup(row.values, label.column)) is None
        except UnusableValueError:
            return True

    def _reject(self, origin: str, error: RejectedError) -> None:
        by_value = self._rejected.setdefault(error.check, {})
        if error.value:
            by_value.setdefault(error.value, Rejects()).add(origin)
        else:
            by_value.setdefault("", Rejects()).add(f"{origin} {error.what}")
        self._findings.row(error.check, origin, what=error.what)

    def _is_complete(self, origin: str, filled: Filled) -> bool:
        """Tell whether the row can be used: it has an answer, and texts where `empty` asks for them."""
        if not filled.target and self._asked.task.spec.answer is not AnswerForm.NONE:
            self._unanswered.add(f"{origin} `{excerpt(filled.input)}`")
            self._findings.row("empty", origin, what="no answer")
            return False
        action = self._asked.data.checks.empty
        if not filled.lacks or action == "off":
            return True
        self._empty.add(origin)
        self._findings.row("empty", origin, what="an empty text")
        return action == "warn"

    def _masked(self, origin: str, filled: Filled) -> Filled:
        for mask, rows, values in self._masks:
            filled, count = mask.apply(filled)
            if count:
                rows.add(origin)
                values.count += count
                self._findings.row(mask.name, origin, masked=count)
        return filled

    def _passes(self, origin: str, filled: Filled) -> bool:
        """Run the checks of single rows, every one of them."""
        dropped_by = []
        for check, rejects in self._checks:
            what = check.look(filled)
            if what is None:
                continue
            rejects.add(Quote(len(self._pool), origin, what))  # its number if it is kept
            self._findings.row(check.name, origin, what=what)
            if check.action == "drop":
                dropped_by.append(check.name)
        if dropped_by:
            self._findings.drop(_reason(dropped_by[0]), 1)
        return not dropped_by

    def _keep(self, row: Row, filled: Filled) -> bool:
        """Write the row to the spill file and its numbers into the pool; tell whether it could be."""
        mark = self._mark(row)
        if mark is None:
            return False
        pool, splits = self._pool, self._asked.splits
        key = content_key(filled.input)
        pool.key.append(int.from_bytes(key[:8]))
        pool.rank.append(drawn("split", splits.seed, key))
        sample = self._asked.data.sample
        if sample is not None:
            pool.sample.append(drawn("sample", sample.seed, key))
        pool.answer.append(_answer_hash(filled))
        pool.stratum.append(self._stratum(filled.labels))
        pool.source.append(row.source)
        pool.alive.append(1)
        pool.note_traits(filled)
        pool.spill.add(
            SpilledRow(
                origin=row.origin,
                input=filled.input,
                target=filled.target,
                labels=filled.labels,
                payload=filled.payload,
                mark=mark,
            )
        )
        return True

    def _mark(self, row: Row) -> str | None:
        """Return the value in the column of the splits, `` where there is none; None: cannot be read."""
        splits, pool = self._asked.splits, self._pool
        if splits.by == "files":
            pool.place.append(_INTO[self._asked.data.sources[row.source].into])
        if not splits.column:
            return ""
        try:
            mark = mark_of(row.values, splits.column)
            match splits.by:
                case "group":
                    group = hashlib.sha256(mark.encode(errors="surrogatepass")).digest()
                    pool.unit.append(drawn("split", splits.seed, group))
                case "time":
                    pool.time.append(seconds_of(mark))
                case "column":
                    pool.place.append(place_of(mark))
        except MissingColumnError as error:
            self._count_missing(row, str(error))
        except (NoMarkError, UnusableValueError) as error:
            self._unmarked.add(f"{row.origin} {error}")
        else:
            return mark
        return None

    def _stratum(self, labels: tuple[str, ...]) -> int:
        known = self._strata.get(labels)
        if known is None:
            known = self._strata[labels] = len(self._strata)
            self._pool.strata.append(labels)
        return known

    def finish(self) -> Gathered:
        """Tell everything that was counted, and return the pool."""
        self._tell_missing()
        self._tell_values()
        self._tell_empty()
        self._tell_unknown(self._rejected.pop("unknown_labels", {}))
        self._tell_rejected()
        self._tell_checks()
        return self._got

    def _tell_missing(self) -> None:
        for column in self._unseen.left if self._got.rows_read else ():
            nowhere = Rejects(count=self._got.rows_read, places=[self._unseen.first])
            self._missing.setdefault(("data.answer", column), nowhere)
        for (path, column), rejects in sorted(self._missing.items()):
            columns = ", ".join(f"`{excerpt(name)}`" for name in self._columns[:SHOWN])
            message = (
                f"column `{column}` is missing in {rejects.count:,} of"
                f" {self._got.rows_read:,} rows (first {rejects.places[0]}); columns are {columns}"
            )
            hint = self._about_column(path, column)
            problem = Problem(code="D301", message=message, path=path, hint=hint)
            self._findings.problems.append(problem)

    def _about_column(self, path: str, column: str) -> str | None:
        """Return what can be done where some rows, or all, have not got a column."""
        if column in self._columns:
            return (
                "other rows have it: write it in these rows too, or take these rows out of the file"
            )
        near = difflib.get_close_matches(column, self._columns, n=1)
        if not near and path == "task.input" and self._columns:
            return f"name columns of the file in task.input, such as `{{{self._columns[0]}}}`"
        return f"did you mean `{near[0]}`?" if near else None

    def _tell_values(self) -> None:
        code, hint = _MARKS.get(self._asked.splits.by, ("D319", None))
        for code_, path, rejects, hint_ in (
            ("D303", "data.label", self._unlabellable, None),
            ("D302", "task.input", self._unfillable, None),
            (code, "splits.by", self._unmarked, hint),
        ):
            if rejects.count:
                message = f"{rejects.count:,} rows cannot be used: {'; '.join(map(written, rejects.places))}"
                self._findings.problems.append(
                    Problem(code=code_, message=message, path=path, hint=hint_)
                )

    def _tell_empty(self) -> None:
        action = self._asked.data.checks.empty
        texts, answers = self._empty, self._unanswered
        what = "label" if self._asked.task.spec.has_labels else "answer"
        self._findings.drop("empty", texts.count if action == "drop" else 0)
        self._findings.drop(f"empty {what}", answers.count)
        total = texts.count + answers.count
        if action == "off" or not total:
            return
        parts = ((texts.count, "text"), (answers.count, what))
        message = ", ".join(
            rows_that(count, f"has an empty {place}", f"have an empty {place}")
            for count, place in parts
            if count
        )
        told = texts.places + answers.places
        self._findings.tell("empty", action, total, message=message, examples=told)

    def _tell_unknown(self, unknown: Mapping[str, Rejects]) -> None:
        action = self._asked.data.checks.unknown_labels
        total = sum(rejects.count for rejects in unknown.values())
        self._findings.drop("unknown label", total)
        if action == "off" or not total:
            return
        ranked = sorted(unknown.items(), key=lambda item: (-item[1].count, item[0]))
        told = [self._told_unknown(value, rejects) for value, rejects in ranked[:SHOWN]]
        wrong = "a label that is not one of the task's"
        message = rows_that(total, f"has {wrong}", f"have {wrong}")
        self._findings.tell("unknown_labels", action, total, message=message, examples=told)

    def _told_unknown(self, value: str, rejects: Rejects) -> str:
        task = self._asked.task
        guess = meant(value, task.labels, several=task.spec.answer is AnswerForm.LABELS)
        rows = "1 row," if rejects.count == 1 else f"{rejects.count:,} rows, first"
        return f"`{excerpt(value)}` in {rows} {rejects.places[0]}{guess}"

    def _tell_rejected(self) -> None:
        for check, by_value in sorted(self._rejected.items()):
            action = getattr(self._asked.data.checks, check)
            total = sum(rejects.count for rejects in by_value.values())
            self._findings.drop(_reason(check), total)
            told = [spot for rejects in by_value.values() for spot in rejects.places]
            if action != "off":
                message = rows_that(total, *self._what_is_wrong(check))
                self._findings.tell(check, action, total, message=message, examples=told)

    def _what_is_wrong(self, check: str) -> tuple[str, str]:
        """Return the end of the finding's sentence, of one row and of more."""
        if check == "schema_violations" and self._asked.task.spec.answer is AnswerForm.OBJECT:
            wrong = "an answer that does not fit task.schema"
            return f"has {wrong}", f"have {wrong}"
        return "is not laid out as its shape says", "are not laid out as their shape says"

    def _tell_checks(self) -> None:
        for check, rejects in self._checks:
            if rejects.count:
                message = check.told(rejects.count)
                self._findings.tell(
                    check.name,
                    check.action,
                    rejects.count,
                    message=message,
                    examples=rejects.places,
                )
        for mask, rows, values in self._masks:
            if rows.count:
                message = f"{values.count:,} values in {rows.count:,} rows are behind placeholders"
                self._findings.tell(
                    mask.name, "mask", rows.count, message=message, examples=rows.places
                )


_MARKS: Final = {
    "column": ("D317", f"write one of {', '.join(PLACE_NAMES)}"),
    "time": ("D318", "write times as 2026-01-31T12:00:00Z, or as seconds since 1970"),
}


def _reason(check: str) -> str:
    """Return why rows are not used, in words: `schema violation`."""
    return check.replace("_", " ").removesuffix("s")


def _answer_hash(filled: Filled) -> int:
    digest = hashlib.blake2b(filled.target.encode(errors="surrogatepass"), digest_size=8)
    if filled.payload:
        digest.update(json.dumps(filled.payload, sort_keys=True).encode("ascii"))
    return int.from_bytes(digest.digest())
