"""The rows of what was given: as the readers of a recipe read them, or turned into plain rows where they cannot."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.data.reading.row import Row, RowLengths, Trouble
from engine.data.reading.text import chunks
from engine.drafting.encodings import WESTERN, drafted_encoding, note_of_encoding
from engine.drafting.foreign import foreign_rows
from engine.drafting.inputs import GivenFile, Inputs
from engine.drafting.label_columns import may_say_split, splits
from engine.drafting.layout_table import LOOKED_AT, SPLIT, columns_of
from engine.drafting.listed import listed_texts
from engine.drafting.profile import Profile, is_called, profile_of
from engine.drafting.reading import NoRowsError, Reading, readings_of
from engine.drafting.reshape import reshaped
from engine.drafting.roles import are_classes
from engine.errors import DataError
from engine.values import Value, replace

LABEL: Final = "label"
Values = Mapping[str, Any]


class Gathered(Value):
    """How the rows are read, and what they hold."""

    readings: tuple[Reading, ...]
    profile: Profile
    rows: tuple[Values, ...] = ()
    """Rows that have to be written to a file first; none where the files are read as they stand."""
    whys: tuple[str, ...] = ()
    """Why they have to be."""
    notes: tuple[str, ...] = ()

    def content(self) -> bytes:
        """Return the rows as JSON lines."""
        lines = (json.dumps(row, ensure_ascii=False, default=str) for row in self.rows)
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def gather(
    inputs: Inputs,
    *,
    encoding: str,
    rows_file: Path,
    must_write: bool = False,
    keep_names: bool = False,
) -> Gathered:
    """Return the rows of the files; `rows_file` is where rows would be written that have to be.

    `keep_names` leaves columns that no template can name as they are called. DataError where a file cannot be read.
    """
    parts = [(part, drafted_encoding(part.path, encoding)) for part in inputs.parts]
    foreign, whys = _foreign(parts, inputs)
    notes = (*inputs.notes, *_encodings(parts, encoding))
    if foreign is None:
        read, without = _all_readings(parts, inputs)
        read, more = _alike(read)
        notes += (*without, *more)
        readings = tuple(reading for _, reading in read)
        sample = _sample(readings)
        called = list(dict.fromkeys(part.label for part, _ in read if part.label))
        is_labelled = bool(called) and are_classes(called, sample)
        # A label beside the lines is the answer, whatever else stands beside them.
        is_settled = inputs.beside and _has_label(sample) and not inputs.names
        whys = [] if is_settled else reshaped(sample, inputs.names, keep_names=keep_names)[1]
        if not whys and any(map(may_say_split, columns_of(sample))):
            # The first rows may be of one split.
            found = splits([row.values for reading in readings for row in reading.rows()])
            whys = [found[1]] if found else []
        if not whys and not is_labelled and not must_write:
            profile = profile_of((reading.into, reading.rows()) for reading in readings)
            return Gathered(readings=readings, profile=profile, notes=notes)
        # What is done to the rows is named once more below, of all of them.
        whys = ["the names of the files are the labels"] if is_labelled else []
        if must_write:
            whys = ["an archive is not read where a run would look for it", *whys]
        foreign = [
            (part if is_labelled else replace(part, label=""), [row.values for row in reading.rows()])
            for part, reading in read
        ]  # fmt: skip
    rows = list(_marked(foreign))
    turned, more_whys = reshaped(rows, inputs.names, keep_names=keep_names)
    whys = [*whys, *(why for why in more_whys if why not in whys)]
    reading = Reading(path=rows_file, format="jsonl", why="; ".join(whys))
    made = (
        Row(origin=f"{rows_file.name}:{at}", values=values) for at, values in enumerate(turned, 1)
    )
    return Gathered(
        readings=(reading,),
        profile=profile_of([("", made)]),
        rows=tuple(turned),
        whys=tuple(whys),
        notes=notes,
    )


def _encodings(parts: Sequence[tuple[GivenFile, str]], asked: str) -> tuple[str, ...]:
    """Return what is to be known of files that are read in an encoding nobody named."""
    names = [part.path.name for part, coding in parts if coding == WESTERN]
    note = note_of_encoding(names, asked, WESTERN)
    return (note,) if note else ()


def _foreign(
    parts: Sequence[tuple[GivenFile, str]], inputs: Inputs
) -> tuple[list[tuple[GivenFile, list[Values]]] | None, list[str]]:
    """Return the rows of files that no reader of a recipe reads, and what they are; None where readers do."""
    if inputs.beside:
        return None, []
    if all(part.is_document for part, _ in parts):
        texts = [(part, [_document(part, coding)]) for part, coding in parts]
        if inputs.table is None:
            return texts, [_why_document(parts)]
        return _listed(texts, inputs.table)
    found: list[tuple[GivenFile, list[Values]]] = []
    whys: list[str] = []
    for part, coding in parts:
        rows = None if part.label and part.suffix == ".txt" else foreign_rows(part.path, coding)
        if rows is None:
            return None, []
        lengths, trouble = RowLengths(), Trouble(part.path.name)
        for at, values in enumerate(rows[0], 1):
            lengths.add(trouble.row(f"#{at}", values))
        lengths.check(trouble)
        found.append((part, list(rows[0])))
        whys.append(rows[1])
    return found, list(dict.fromkeys(whys))


def _listed(
    texts: list[tuple[GivenFile, list[Values]]], table: GivenFile
) -> tuple[list[tuple[GivenFile, list[Values]]], list[str]]:
    coding = drafted_encoding(table.path, "utf-8")
    plain = foreign_rows(table.path, coding)
    rows = plain[0] if plain else [
        row.values for one in readings_of(table.path, encoding=coding) for row in one.rows()
    ]  # fmt: skip
    found = listed_texts([row for _, some in texts for row in some], rows)
    if found is None:
        return texts, [
            f"each file is a text; `{table.path.name}` lists none of them and is left out"
        ]
    return [(table, found[0])], [found[1]]


def _why_document(parts: Sequence[tuple[GivenFile, str]]) -> str:
    if any(_marks_of(part.path) for part, _ in parts):
        return "each text has its marks in a file beside it (.ann), as brat writes them"
    if not any(part.label for part, _ in parts):
        return "each file is a text"
    return "each file is a text, in the folder of its class"


def _document(part: GivenFile, encoding: str) -> Values:
    text = "".join(chunks(part.path, encoding, Trouble(part.path.name)))
    marks = _marks_of(part.path)
    if marks is None:
        return {"file": part.path.name, "text": text}
    spans = [
        {"label": found[1], "start": int(found[2]), "end": int(found[3])}
        for line in marks.splitlines()
        if (found := re.match(r"T\d+\t(\S+) (\d+)(?: \d+;\d+)* (\d+)\t", line))
    ]
    return {"file": part.path.name, "text": text, "spans": spans}


def _marks_of(path: Path) -> str | None:
    beside = path.with_suffix(".ann")
    if not beside.is_file():
        return None
    # A text without marks has an empty file beside it, which `chunks` refuses.
    if not beside.stat().st_size:
        return ""
    return "".join(chunks(beside, "utf-8", Trouble(beside.name)))


def _all_readings(
    parts: Sequence[tuple[GivenFile, str]], inputs: Inputs
) -> tuple[list[tuple[GivenFile, Reading]], tuple[str, ...]]:
    """Return how each file is read, and of several those that hold no rows, which are left out."""
    read: list[tuple[GivenFile, Reading]] = []
    notes: list[str] = []
    without: NoRowsError | None = None
    for part, coding in parts:
        try:
            read += [(part, one) for one in _readings(part, coding, inputs)]
        except NoRowsError as error:
            without = error
            notes.append(f"{part.path.name} is left out: it holds no rows of named columns")
    if without is not None and not read:
        raise without
    return read, tuple(notes)


def _readings(part: GivenFile, encoding: str, inputs: Inputs) -> Iterator[Reading]:
    beside = tuple((column, _sibling(part.path, role)) for column, role in inputs.beside)
    if beside:
        path, into = part.path, part.into
        yield Reading(
            path=path, format="lines", says_format=True, encoding=encoding, into=into,
            beside=beside, why="lines of several files belong together",
        )  # fmt: skip
        return
    for reading in readings_of(part.path, encoding=encoding):
        yield replace(reading, into=reading.into or part.into)


def _sibling(path: Path, role: str) -> Path:
    """Return the file beside another whose name has that role in it (`engine.drafting.inputs`)."""
    pattern = re.compile(rf"(?:^|[._-]){re.escape(role)}(?:$|[._-])")
    found = [
        one for one in sorted(path.parent.iterdir()) if one != path and pattern.search(one.name)
    ]
    if found:
        # Of `train.de` and `dev.de`, the one that shares the most of the name.
        return max(found, key=lambda one: _shared(one.name, path.name))
    raise DataError.one("D320", f"`{path.parent / role}` is not there")


def _shared(one: str, two: str) -> int:
    """Return how many characters two names begin with together."""
    return next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), len(one))


def _alike(
    read: Sequence[tuple[GivenFile, Reading]],
) -> tuple[list[tuple[GivenFile, Reading]], tuple[str, ...]]:
    """Leave out files whose columns are others than those of the first: they are of another table.

    A test file without the labels, as contests give it out, cannot judge either.
    """
    if len({part.path for part, _ in read}) < 2:
        return list(read), ()
    needed, columns = _usual_columns(read[0][1]), [set(_counted_columns(one)) for _, one in read]
    kept, notes = [], []
    for at, (part, reading) in enumerate(read):
        missing = needed - columns[at]
        if not missing:
            kept.append((part, reading))
            continue
        named = ", ".join(f"`{name}`" for name in sorted(missing)[:3])
        notes.append(f"{part.path.name} is left out: it has no {named}")
    split = {reading.into for _, reading in kept}
    if "holdout" not in split and "" not in split:
        # What is left to judge is the validation file, or a part of the rows.
        swap = {"validation": "holdout"} if "validation" in split else {"train": ""}
        kept = [(p, replace(r, into=swap.get(r.into, r.into))) for p, r in kept]
    return kept, tuple(notes)


def _usual_columns(reading: Reading) -> set[str]:
    """Return the columns that half of the first rows have: other files may lack what only some rows have."""
    counts = _counted_columns(reading)
    most = max(counts.values(), default=0)
    return {name for name, count in counts.items() if 2 * count >= most}


def _counted_columns(reading: Reading) -> Counter[str]:
    return Counter(str(name) for row in _first(reading.rows(), 50) for name in row.values)


def _first(rows: Iterable[Row], most: int) -> Iterator[Row]:
    for at, row in enumerate(rows):
        if at >= most:
            return
        yield row


def _sample(readings: Sequence[Reading]) -> list[Values]:
    return [row.values for row in _first(readings[0].rows(), LOOKED_AT)]


def _has_label(sample: Sequence[Values]) -> bool:
    names = {str(name) for row in sample for name in row}
    return any(is_called(name, "label") for name in names)


def _marked(foreign: Sequence[tuple[GivenFile, Sequence[Values]]]) -> Iterator[Values]:
    """Yield the rows of all files, with the label and the split that their names say."""
    for part, rows in foreign:
        # What stands in the rows themselves is the answer, whatever their file is called.
        is_answered = bool(rows) and not {LABEL, "labels", "spans"}.isdisjoint(rows[0])
        more = {LABEL: part.label} if part.label and not is_answered else {}
        if part.into:
            more[SPLIT] = part.into
        for row in rows:
            yield {**row, **more}
