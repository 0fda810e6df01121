"""Rows with one label each whose texts are plain, as columns: none of them becomes an object of its own.

What the columns of a batch do not show to be such a row goes the way of single rows (`RowCollector.add`), which
would do with the others what is done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.data.arrow_arrays import are_there, as_numbers
from engine.data.checks.rows.texts import KEYS, PROSE_LETTERS
from engine.data.examples.label import label_of
from engine.data.examples.template import Template, parse_template
from engine.data.reading.row import RowBatch
from engine.data.spill_blocks import Block, block_of, joined_bytes
from engine.kinds import AnswerForm
from engine.recipe.model import Data, LabelSpec, Task
from engine.runtime.text import rows as compiled
from engine.values import Value

Offsets = NDArray[np.int64]

LETTERS: Final = compiled.letter_classes(PROSE_LETTERS, KEYS)
UNPLAIN: Final = -1
"""In place of the label of a row that goes the way of single rows."""


class PlainRows(Value):
    """The rows of a batch."""

    batch: RowBatch
    texts: tuple[NDArray[np.uint8], Offsets, Offsets]
    labels: Offsets
    """The number of the label among those of the task, or `UNPLAIN`."""


class ColumnReader(Value):
    """Reads batches for a task of one label."""

    labels: tuple[str, ...]
    spec: LabelSpec
    column: str
    """Whose text is the input."""
    _numbers: dict[str, int]
    """What was found of the values of the label's column so far."""

    def read(self, batch: RowBatch) -> PlainRows | None:
        """Return the rows; None where the columns are not those of texts."""
        from pyarrow import types  # an extra

        names = batch.columns.schema.names
        if not len(batch) or not {self.column, self.spec.column}.issubset(names):
            return None
        texts, labels = (
            batch.columns.column(names.index(one)) for one in (self.column, self.spec.column)
        )
        if not (types.is_string(texts.type) and types.is_string(labels.type)):
            return None
        data, starts, ends = _buffers(texts)
        numbers = self._label_numbers(labels)
        keys = joined_bytes([key.encode("ascii") for key in KEYS])
        plain = compiled.plain(data, starts, ends, LETTERS, keys)
        if texts.null_count:
            plain &= are_there(texts)
        numbers[~plain] = UNPLAIN
        return PlainRows(batch=batch, texts=(data, starts, ends), labels=numbers)

    def block(self, rows: PlainRows, others: Sequence[tuple[int, bytes]]) -> Block:
        """Return the plain rows, and others by their place in the batch, as the spill file holds them."""
        begin = np.frombuffer(rows.batch.origin.encode(errors="surrogatepass"), np.uint8)
        names = joined_bytes([one.encode(errors="surrogatepass") for one in self.labels])
        given = (
            np.array([place for place, _ in others], np.int64),
            *joined_bytes([line for _, line in others]),
        )
        return block_of(
            *compiled.record_lines(
                rows.texts, (rows.labels, *names), (begin, rows.batch.numbers), given
            )
        )

    def _label_numbers(self, labels: Any) -> Offsets:
        found = labels.dictionary_encode(null_encoding="encode")
        values = found.dictionary.to_pylist()
        numbers = [UNPLAIN if value is None else self._number(value) for value in values]
        chosen: Offsets = np.array(numbers, np.int64)[as_numbers(found.indices)]
        return chosen

    def _number(self, value: str) -> int:
        known = self._numbers.get(value)
        if known is None:
            label = label_of({self.spec.column: value}, self.spec)
            known = self.labels.index(label) if label in self.labels else UNPLAIN
            if len(self._numbers) < MOST_VALUES:
                self._numbers[value] = known
        return known


MOST_VALUES: Final = 10_000
"""Different values of the label's column that are remembered."""


def column_reader(task: Task, data: Data, origin: str) -> ColumnReader | None:
    """Return what reads the rows of a source as columns; None where a row takes more than a text and a label."""
    spec, template = data.label, parse_template(task.input)
    column = _only_column(template)
    # The spill file has a zero byte between fields.
    if column is None or spec is None or any("\0" in one for one in (origin, *task.labels)):
        return None
    if task.spec.answer is not AnswerForm.LABEL or spec.bins or "" in task.labels:
        return None
    return ColumnReader(labels=tuple(task.labels), spec=spec, column=column, _numbers={})


def _only_column(template: Template) -> str | None:
    return template.columns[0] if template.pieces == ("", "") else None


def _buffers(texts: Any) -> tuple[NDArray[np.uint8], Offsets, Offsets]:
    """Return the bytes of a column of texts, and where each begins and ends."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    places = ends.astype(np.int64)
    return np.frombuffer(data or b"", np.uint8), places[:-1], places[1:]
