"""Rows with their answers as JSON lines, CSV, TSV or Parquet.

All columns of the rows are written, in their order. Values without a form in a table (lists, objects, values of a
Parquet column without a common type) are written as JSON; a table keeps the delimiter and encoding of the rows.
"""

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched
from pathlib import Path
from typing import Any, Final

from engine.data.examples.answers import NUMBER
from engine.data.reading.row import Row, Trouble
from engine.data.reading.tables import DELIMITERS
from engine.data.reading.text import open_bytes
from engine.data.synthetic import FORMULA
from engine.errors import RecipeError
from engine.files.writing import output
from engine.kinds import AnswerForm
from engine.recipe.text.paths import format_of
from engine.runs.predict_rows import (
    ABSTAINED,
    PREDICTION,
    PROBABILITY,
    AnsweredRows,
    RowAnswer,
    RowFile,
)
from engine.runtime.rendering.task_file import TaskFile
from engine.runtime.rendering.windows import SHOWN as MOST_NAMED
from engine.runtime.rendering.windows import TooLong

WRITTEN: Final = ("jsonl", "csv", "tsv", "parquet")
GROUP: Final = 10_000
_EXACT: Final = 1 << 53
"""Whole numbers up to it stay the same as floats."""


class Summary:
    def __init__(self, task: TaskFile) -> None:
        has_labels = task.task.spec.answer in (AnswerForm.LABEL, AnswerForm.LABELS)
        zero = dict.fromkeys(task.task.labels, 0)
        self.labels = Counter[str](zero) if has_labels else None
        self.rows = self.abstained = 0
        self.without_answer = 0
        """Blank rows, and answers that were cut off."""
        self.too_long = 0
        """Rows longer than the context of the model, which were skipped."""
        self.named = list[tuple[str, TooLong]]()
        self.formulas = 0
        """Rows of a table with a cell that a spreadsheet would compute."""

    def add(self, row: Row, answer: RowAnswer) -> None:
        self.rows += 1
        self.abstained += answer.abstained
        if answer.too_long is not None:
            self.too_long += 1
            if len(self.named) < MOST_NAMED:
                self.named.append((row.origin, answer.too_long))
            return
        self.without_answer += answer.answer is None and not answer.abstained
        if self.labels is not None and answer.answer is not None:
            several = isinstance(answer.answer, list)
            self.labels.update(answer.answer if several else [answer.answer])


def output_format(path: Path) -> str:
    """Return the format of a file's name. RecipeError R317 for one that is not written."""
    form = format_of(path.name)
    if form not in WRITTEN or path.suffix.lower() in (".gz", ".bz2", ".xz", ".zst"):
        raise RecipeError.one(
            "R317",
            f"answers are not written in the format of `{path.name}`",
            hint=f"end its name in {', '.join(f'.{name}' for name in WRITTEN)}",
        )
    return form


def write_answers(answered: AnsweredRows, path: Path) -> Summary:
    """Write rows and answers to a file, all or none. OSError, DataError D436."""
    more = () if answered.abstain_below is None else (ABSTAINED,)
    columns = (*answered.columns, PREDICTION, PROBABILITY, *more, *answered.marks)
    summary, form = Summary(answered.task), output_format(path)
    rows = _counted(answered, summary)
    with output(path) as stream:
        if form == "parquet":
            joined = (_joined(row, answer, answered) for row, answer in answered)
            schema = _parquet_schema(joined, columns)
            import pyarrow as pa  # heavy, and rarely asked for
            from pyarrow import parquet

            with parquet.ParquetWriter(stream, schema) as writer:
                for group in batched(rows, GROUP, strict=False):
                    table = {
                        one.name: [_of_type(pa, one.type, row.get(one.name)) for row in group]
                        for one in schema
                    }
                    writer.write_table(pa.table(table, schema=schema))
        elif form == "jsonl":
            stream.writelines(_line(row).encode("utf-8", "surrogatepass") for row in rows)
        else:
            # as in the file of rows, if it has the same format
            source = answered.rows.source
            asked = format_of(answered.rows.path.name, source.format)
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
    summary = Summary(answered.task)
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
    """Return the common type of each column; text, with other values as JSON, where there is none."""
    import pyarrow as pa

    types, large = dict.fromkeys(columns, pa.null()), set[str]()
    for group in batched(rows, GROUP, strict=False):
        for name, known in types.items():
            values = [row.get(name) for row in group]
            if any(isinstance(one, int) and abs(one) > _EXACT for one in values):
                large.add(name)
            try:
                own = pa.array(values).type
                pair = [pa.schema([("column", one)]) for one in (known, own)]
                kind = pa.unify_schemas(pair, promote_options="permissive").field(0).type
            except (pa.ArrowException, OverflowError):
                kind = pa.string()
            is_rounded = name in large and pa.types.is_floating(kind)
            types[name] = pa.string() if is_rounded or not _is_written(pa, kind) else kind
    empty = {PROBABILITY: pa.float64()}  # of columns without any value
    return pa.schema(
        (name, empty.get(name, pa.string()) if pa.types.is_null(kind) else kind)
        for name, kind in types.items()
    )


def _is_written(pa: Any, kind: Any) -> bool:
    """Tell whether Parquet has a form for a type, as not for an object without keys."""
    if pa.types.is_struct(kind) and not kind.num_fields:
        return False
    return all(_is_written(pa, kind.field(at).type) for at in range(kind.num_fields))


def _of_type(pa: Any, kind: Any, value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if pa.types.is_string(kind):
        return _as_text(value)
    return float(value) if pa.types.is_floating(kind) else value
