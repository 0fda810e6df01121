"""Rows that cannot become candidates, counted by reason, and the findings and problems that say so."""

import difflib
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from engine.data.checks.findings import Preparation, Rejects, drop_reason, written
from engine.data.checks.rows.base import rows_that
from engine.data.examples.answers import NoBinError, NoNumberError, meant
from engine.data.examples.template import (
    NO_HEADER,
    Filled,
    MissingColumnError,
    RejectedError,
    UnusableValueError,
    as_text,
    columns_named,
    has_column,
    is_without_header,
    lookup,
    optional_columns,
    parse_template,
)
from engine.data.reading.row import SHOWN, Row, excerpt, several
from engine.data.reading.tables import READ_QUOTES
from engine.data.splitting.column import PLACES as SPLIT_NAMES
from engine.kinds import AnswerForm

_SPLIT_COLUMN: Final = {
    "column": ("D317", f"write one of {', '.join(SPLIT_NAMES)}"),
    "time": ("D318", "write times as 2026-01-31T12:00:00Z, or as seconds since 1970"),
}
"""Code and hint of an unreadable value in the column of the splits, by `splits.by`."""


class UnusableRows:
    def __init__(self, work: Preparation) -> None:
        self._task, self._data, self._work = work.task, work.data, work
        self._findings = work.findings
        self._keys = dict(columns_named(work.task, work.data, work.splits))
        self._optional = frozenset(optional_columns(work.data))
        """Columns that a row may lack, such as those of an answer's fields, but not every row."""
        self._unseen = set(self._optional)
        """Those of them that no row had so far."""
        self._first = ""
        self._columns: list[str] = []
        self._is_headed = True
        """Whether the first file has names of columns where such stand."""
        self._missing: dict[tuple[str, str], Rejects] = defaultdict(Rejects)
        self._incomplete = 0
        """Rows that lack one of them, or several."""
        self._empty, self._unanswered = Rejects(), Rejects()
        several_columns = len({*parse_template(work.task.input).columns}) > 1
        # One of several columns may be blank, and the text is not empty for it.
        self._blank = "a blank column in `task.input`" if several_columns else "an empty text"
        self._rejected: dict[str, dict[str, Rejects]] = defaultdict(lambda: defaultdict(Rejects))
        self._labels, self._inputs, self.split_values = Rejects(), Rejects(), Rejects()

    def note_columns(self, row: Row) -> None:
        """Remember which columns the rows have; of every row, usable or not."""
        if not self._columns:
            self._columns = list(row.values)
            file, labels = row.origin.rpartition(":")[0], self._task.labels
            self._is_headed = not is_without_header(file, self._columns, labels)
        self._first = self._first or row.origin
        # A misspelt one would leave its field out of every answer, and nothing else would tell.
        if self._unseen:
            self._unseen = {one for one in self._unseen if not has_column(row.values, one)}

    def add(self, row: Row, error: Exception) -> None:
        match error:
            case NoBinError():
                self._findings.drop("no bin", 1)
            case NoNumberError():
                self._labels.add(f"{row.origin} `{excerpt(str(error))}` is not a number")
            case MissingColumnError():
                self.add_missing(row, str(error))
            case UnusableValueError():
                rejects = self._labels if self._label_is_unusable(row) else self._inputs
                rejects.add(f"{row.origin} {error}")
            case RejectedError():
                place = row.origin if error.value else f"{row.origin} {error.what}"
                self._rejected[error.check][error.value].add(place)
                self._findings.row(error.check, row.origin, what=error.what)

    def add_missing(self, row: Row, missing: str) -> None:
        """Count every column of the recipe that this row lacks, not only the first."""
        if missing in self._optional:  # no field at all; `_unseen` has those that no row has
            self._unanswered.add(f"{row.origin} has none of the answer's columns")
            return
        self._incomplete += 1
        needed = self._keys.keys() - self._optional
        lacking = {column for column in needed if not has_column(row.values, column)} | {missing}
        for column in sorted(lacking):
            self._missing[self._keys.get(column, "data"), column].add(row.origin)

    def is_complete(self, origin: str, filled: Filled) -> bool:
        """Return whether a row has an answer, and texts where `empty` asks for them; count one that has not."""
        # Whatever the check `empty` says: without an answer there is nothing to learn or to judge by.
        if not filled.target and self._task.spec.answer is not AnswerForm.NONE:
            self._unanswered.add(f"{origin} `{excerpt(filled.input)}`")
            self._findings.row("empty", origin, what="no answer")
            return False
        if not filled.lacks:
            return True
        action = self._data.checks.empty
        if action == "off":
            return True
        self._empty.add(origin)
        self._findings.row("empty", origin, what=self._blank)
        return action == "warn"

    def report(self, rows_read: int) -> None:
        findings = self._findings
        findings.drop("missing column", self._incomplete)
        for column in self._unseen if rows_read else ():
            nowhere = Rejects(count=rows_read, places=[self._first])
            self._missing.setdefault((self._keys.get(column, "data.answer"), column), nowhere)
        for (path, column), rejects in sorted(self._missing.items()):
            columns = ", ".join(f"`{excerpt(name)}`" for name in self._columns[:SHOWN])
            message = f"column `{column}` is missing in {rejects.count:,} of {rows_read:,} rows"
            message += f" (first {rejects.places[0]}); columns are {columns}"
            findings.refuse("D301", message, path, self._column_hint(path, column))
        split_code, split_hint = _SPLIT_COLUMN.get(self._work.splits.by, ("D319", None))
        for code, path, rejects, hint in (
            ("D303", "data.label", self._labels, None),
            ("D302", "task.input", self._inputs, None),
            (split_code, "splits.by", self.split_values, split_hint),
        ):
            findings.drop("unusable value", rejects.count)
            if rejects.count:
                places = "; ".join(map(written, rejects.places))
                message = f"{several(rejects.count, 'row')} cannot be used: {places}"
                findings.refuse(code, message, path, hint)
        self._report_empty()
        # Taken out here, as unknown labels are listed by value; what is left is listed by row.
        self._report_unknown_labels(self._rejected.pop("unknown_labels", {}))
        for check, by_value in sorted(self._rejected.items()):
            total = sum(rejects.count for rejects in by_value.values())
            findings.drop(drop_reason(check), total)
            examples = [place for rejects in by_value.values() for place in rejects.places]
            wrong = "is not laid out as its shape says", "are not laid out as their shape says"
            if check == "schema_violations" and self._task.spec.answer is AnswerForm.OBJECT:
                what = "an answer that does not fit task.schema"
                wrong = f"has {what}", f"have {what}"
            self._work.report(check, total, message=rows_that(total, *wrong), examples=examples)

    def _label_is_unusable(self, row: Row) -> bool:
        label = self._data.label
        try:
            return label is not None and as_text(lookup(row.values, label.column)) is None
        except UnusableValueError:
            return True

    def _column_hint(self, path: str, column: str) -> str | None:
        if column in self._columns:
            return (
                "other rows have it: write it in these rows too, or take these rows out of the file"
            )
        if f'"{column}"' in self._columns:
            return READ_QUOTES
        # a column that another key names is not the one that was meant
        free = [one for one in self._columns if one not in self._keys]
        near = difflib.get_close_matches(column, free, n=1)
        if not near and not self._is_headed:
            return NO_HEADER
        if not near and path == "task.input" and self._columns:
            return f"name columns of the file in task.input, such as `{{{self._columns[0]}}}`"
        return f"did you mean `{near[0]}`?" if near else None

    def _report_empty(self) -> None:
        texts, answers = self._empty, self._unanswered
        answer = "label" if self._task.spec.has_labels else "answer"
        self._findings.drop("empty", texts.count if self._data.checks.empty != "warn" else 0)
        self._findings.drop(f"empty {answer}", answers.count)
        total = texts.count + answers.count
        message = ", ".join(
            rows_that(count, f"has {part}", f"have {part}")
            for count, part in ((texts.count, self._blank), (answers.count, f"an empty {answer}"))
            if count
        )
        if total:
            examples = texts.places + answers.places
            self._work.report("empty", total, message=message, examples=examples)

    def _report_unknown_labels(self, unknown: Mapping[str, Rejects]) -> None:
        total = sum(rejects.count for rejects in unknown.values())
        self._findings.drop("unknown label", total)
        ranked = sorted(unknown.items(), key=lambda item: (-item[1].count, item[0]))
        examples = (self._unknown_label(value, rejects) for value, rejects in ranked)
        wrong = "a label that is not one of the task's"
        message = rows_that(total, f"has {wrong}", f"have {wrong}")
        if total:
            self._work.report("unknown_labels", total, message=message, examples=examples)

    def _unknown_label(self, value: str, rejects: Rejects) -> str:
        several = self._task.spec.answer is AnswerForm.LABELS
        guess = meant(value, self._task.labels, several=several)
        rows = "1 row," if rejects.count == 1 else f"{rejects.count:,} rows, first"
        return f"`{excerpt(value)}` in {rows} {rejects.places[0]}{guess}"
