"""Rows with their answers, in the format of the file that is written: JSON lines, CSV, TSV or Parquet.

Every column of the rows stays, in its order, and the answers stand behind them. What a table has no form for (lists,
objects) stands there as JSON.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import batched
from pathlib import Path
from typing import Any, BinaryIO, Final

from engine.data.examples.label import NUMBER
from engine.data.reading.row import Row
from engine.data.review_file import FORMULA
from engine.errors import RecipeError
from engine.files.writing import output
from engine.recipe.formats import format_of
from engine.runs.predict_rows import AnsweredRows, RowAnswer, Summary

PREDICTION, PROBABILITY, ABSTAINED = "prediction", "probability", "abstained"
WRITTEN: Final = ("jsonl", "csv", "tsv", "parquet")
GROUP: Final = 10_000
"""Rows of a Parquet file that are written at once."""


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
    """Return the names of the answers' columns. RecipeError R318 where the rows have one of them already."""
    more = () if answered.abstain_below is None else (ABSTAINED,)
    names = (PREDICTION, PROBABILITY, *more)
    if taken := [name for name in names if name in answered.columns]:
        raise RecipeError.one(
            "R318",
            f"the rows have a column `{taken[0]}` already, which the answers would replace",
            hint="rename it in the file: earlier answers are not written over",
        )
    return names


def write_answers(answered: AnsweredRows, path: Path) -> Summary:
    """Write rows and answers to a file, whole or not at all. OSError, RecipeError R318."""
    names = added_columns(answered)
    summary = Summary.of(answered.task)
    form = output_format(path)
    rows = _counted(answered, summary)
    if form in ("csv", "tsv"):
        rows = _watched(rows, summary)
    writer = _WRITERS[form]
    with output(path) as stream:
        writer(stream, rows, (*answered.columns, *names))
    return summary


def write_lines(answered: AnsweredRows, write: Callable[[str], None]) -> Summary:
    """Write rows and answers as JSON lines. RecipeError R318."""
    added_columns(answered)
    summary = Summary.of(answered.task)
    for row in _counted(answered, summary):
        write(_line(row))
    return summary


def _counted(answered: AnsweredRows, summary: Summary) -> Iterator[dict[str, Any]]:
    has_bound = answered.abstain_below is not None
    for row, answer in answered:
        summary.add(answer)
        yield _joined(row, answer, has_bound=has_bound)


def _watched(rows: Iterator[dict[str, Any]], summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield the rows, and count those with a cell that a spreadsheet would compute."""
    for row in rows:
        summary.formulas += any(map(_is_formula, row.values()))
        yield row


def _is_formula(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value)


def _joined(row: Row, answer: RowAnswer, *, has_bound: bool) -> dict[str, Any]:
    more = {ABSTAINED: answer.abstained} if has_bound else {}
    probability = None if answer.probability is None else round(answer.probability, 6)
    return {**row.values, PREDICTION: answer.answer, PROBABILITY: probability, **more}


def _line(row: Mapping[str, Any]) -> str:
    return f"{json.dumps(row, ensure_ascii=False, default=str)}\n"


def _write_jsonl(stream: BinaryIO, rows: Iterable[Mapping[str, Any]], _: tuple[str, ...]) -> None:
    stream.writelines(_line(row).encode("utf-8", "surrogatepass") for row in rows)


def _table(
    dialect: str,
) -> Callable[[BinaryIO, Iterable[Mapping[str, Any]], tuple[str, ...]], None]:
    def write(
        stream: BinaryIO, rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]
    ) -> None:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        table = csv.DictWriter(text, columns, dialect=dialect, lineterminator="\n", restval="")
        table.writeheader()
        for row in rows:
            table.writerow({name: _cell(row.get(name)) for name in columns})
        # the file below belongs to the caller, who closes it
        text.detach()

    return write


def _cell(value: Any) -> Any:
    """Return a value as a table holds it."""
    if isinstance(value, (list, dict, bool)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


def _write_parquet(
    stream: BinaryIO, rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]
) -> None:
    import pyarrow as pa  # heavy, and rarely asked for
    from pyarrow import parquet

    writer: Any = None
    for group in batched(rows, GROUP, strict=False):
        table = {name: [row.get(name) for row in group] for name in columns}
        made = pa.table(table, schema=writer.schema if writer else None)
        writer = writer or parquet.ParquetWriter(stream, _nullable(pa, made.schema))
        writer.write_table(made.cast(writer.schema))
    if writer is None:
        none: Any = pa.table({name: [] for name in columns})
        writer = parquet.ParquetWriter(stream, _nullable(pa, none.schema))
    writer.close()


def _nullable(pa: Any, schema: Any) -> Any:
    """Return a schema whose columns without any value so far hold text or numbers later on."""
    kinds = {PROBABILITY: pa.float64()}
    return pa.schema(
        [
            one.with_type(kinds.get(one.name, pa.string())) if pa.types.is_null(one.type) else one
            for one in schema
        ]
    )


_WRITERS: Final = {
    "jsonl": _write_jsonl,
    "csv": _table("excel"),
    "tsv": _table("excel-tab"),
    "parquet": _write_parquet,
}
