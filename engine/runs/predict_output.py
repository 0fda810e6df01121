"""Rows with their answers, in the format of the file that is written: JSON lines, CSV, TSV or Parquet.

Every column of the rows stays, in its order. What a table has no form for (lists, objects, a column of Parquet whose
values have no type in common) is written as JSON; a table keeps the delimiter and encoding of the rows.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched
from pathlib import Path
from typing import Any, Final

from engine.data.examples.answers import NUMBER
from engine.data.reading.row import Row, Trouble
from engine.data.reading.tables import DELIMITERS
from engine.data.reading.text import open_bytes
from engine.data.review_file import FORMULA
from engine.errors import RecipeError
from engine.files.writing import output
from engine.recipe.text.paths import format_of
from engine.runs.predict_rows import (
    ABSTAINED,
    PREDICTION,
    PROBABILITY,
    AnsweredRows,
    RowAnswer,
    RowFile,
    Summary,
)

WRITTEN: Final = ("jsonl", "csv", "tsv", "parquet")
GROUP: Final = 10_000
_EXACT: Final = 1 << 53
"""Whole numbers up to it stay the same as floats."""


def output_format(path: Path) -> str:
    """Return the format that a name asks for. RecipeError R317 for one that is not written."""
    found = format_of(path.name)
    if found not in WRITTEN or path.suffix.lower() in (".gz", ".bz2", ".xz", ".zst"):
        raise RecipeError.one(
            "R317",
            f"`{path.name}` tells no format that answers are written in",
            hint=f"end its name in {', '.join(f'.{name}' for name in WRITTEN)}",
        )
    return found


def added_columns(answered: AnsweredRows) -> tuple[str, ...]:
    more = () if answered.abstain_below is None else (ABSTAINED,)
    return (PREDICTION, PROBABILITY, *more, *answered.marks)


def write_answers(answered: AnsweredRows, path: Path) -> Summary:
    """Write rows and answers to a file, whole or not at all. OSError, DataError D436."""
    columns = (*answered.columns, *added_columns(answered))
    summary, form = Summary.of(answered.task), output_format(path)
    rows = _counted(answered, summary)
    with output(path) as stream:
        if form == "parquet":
            joined = (_joined(row, answer, answered) for row, answer in answered)
            schema = _parquet_schema(joined, columns)
            import pyarrow as pa  # heavy, and rarely asked for
            from pyarrow import parquet

            with parquet.ParquetWriter(stream, schema) as writer:
                for group in batched(rows, GROUP, strict=False):
                    table = {one.name: [row.get(one.name) for row in group] for one in schema}
                    for one in schema:
                        if (one.metadata or {}).get(_AS_JSON):
                            table[one.name] = [
                                value
                                if value is None or isinstance(value, str)
                                else _as_text(value)
                                for value in table[one.name]
                            ]
                    writer.write_table(pa.table(table, schema=schema))
        elif form == "jsonl":
            stream.writelines(_line(row).encode("utf-8", "surrogatepass") for row in rows)
        else:
            # As the rows that were asked, as far as they are in the format that is written.
            source, asked = (
                answered.rows.source,
                format_of(answered.rows.path.name, answered.rows.source.format),
            )
            delimiter = (source.delimiter if form == asked else "") or DELIMITERS[form]
            encoding = _encoding(answered.rows) if asked in DELIMITERS else "utf-8"
            text = io.TextIOWrapper(stream, encoding=encoding, newline="", write_through=True)
            sheet = csv.DictWriter(
                text, columns, delimiter=delimiter, lineterminator="\n", restval=""
            )
            sheet.writeheader()
            for row in rows:
                written = [one for one in row.values() if isinstance(one, str)]
                summary.formulas += any(
                    one.startswith(FORMULA) and not NUMBER.fullmatch(one) for one in written
                )
                cells = {name: row.get(name) for name in columns}
                for name, one in cells.items():
                    if isinstance(one, (list, dict, bool)):
                        cells[name] = _as_text(one)
                sheet.writerow(cells)
            # the file below belongs to the caller, who closes it
            text.detach()
    return summary


def write_lines(answered: AnsweredRows, write: Callable[[str], None]) -> Summary:
    summary = Summary.of(answered.task)
    for row in _counted(answered, summary):
        write(_line(row))
    return summary


def _counted(answered: AnsweredRows, summary: Summary) -> Iterator[dict[str, Any]]:
    for row, answer in answered:
        summary.add(row, answer)
        yield _joined(row, answer, answered)


def _joined(row: Row, answer: RowAnswer, answered: AnsweredRows) -> dict[str, Any]:
    more = {} if answered.abstain_below is None else {ABSTAINED: answer.abstained}
    probability = None if answer.probability is None else round(answer.probability, 6)
    return {
        **row.values,
        PREDICTION: answer.answer,
        PROBABILITY: probability,
        **more,
        **answered.marks,
    }


def _line(row: Mapping[str, Any]) -> str:
    return f"{_as_text(row)}\n"


def _encoding(rows: RowFile) -> str:
    written_in = rows.source.encoding.lower().replace("_", "-")
    if written_in.startswith("utf-16"):
        return "utf-16"
    with open_bytes(rows.path, Trouble(rows.path.name)) as stream:
        has_mark = stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    return "utf-8-sig" if has_mark else "utf-8"


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _parquet_schema(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    """Return columns whose types hold every value as it is; texts, with other values as JSON, where none does."""
    import pyarrow as pa

    found = {name: _ColumnType() for name in columns}
    for group in batched(rows, GROUP, strict=False):
        for name, one in found.items():
            one.see([row.get(name) for row in group])
    fields = []
    for name, one in found.items():
        kind, metadata = one.type, None
        if kind is None:
            kind, metadata = pa.string(), {_AS_JSON: b"json"}
        elif pa.types.is_null(kind):
            kind = pa.float64() if name == PROBABILITY else pa.string()
        fields.append(pa.field(name, kind, metadata=metadata))
    return pa.schema(fields)


_AS_JSON: Final = b"recipe.other_values"
"""In the metadata of a column of texts whose other values are JSON."""


class _ColumnType:
    def __init__(self) -> None:
        import pyarrow as pa

        self.type: Any = pa.null()
        """None where no type holds all values as they are."""
        self._largest = 0
        """Of the whole numbers."""

    def see(self, values: Sequence[Any]) -> None:
        import pyarrow as pa

        if self.type is None:
            return
        try:
            other = pa.array(values).type
            if pa.types.is_integer(self.type) and pa.types.is_floating(other):
                self.type = other if self._largest <= _EXACT else None
            elif not (pa.types.is_floating(self.type) and pa.types.is_integer(other)):
                pair = [pa.schema([("column", one)]) for one in (self.type, other)]
                self.type = pa.unify_schemas(pair).field(0).type
            # what a type has no place for it drops without a word, such as a key of an object
            is_whole = _same(pa.array(values, type=self.type).to_pylist(), values)
        except (pa.ArrowException, OverflowError):
            is_whole = False
        if not is_whole or not _is_written(pa, self.type):
            self.type = None
        elif pa.types.is_integer(self.type):
            self._largest = max(self._largest, *(abs(one or 0) for one in values))


def _is_written(pa: Any, kind: Any) -> bool:
    if kind is None or (pa.types.is_struct(kind) and not kind.num_fields):
        return False
    return all(_is_written(pa, kind.field(at).type) for at in range(kind.num_fields))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    both = isinstance(one, float) and isinstance(other, float)
    return bool(one == other) or (both and math.isnan(one) and math.isnan(other))
