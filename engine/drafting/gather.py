"""The rows of what was given: as the readers of a recipe read them, or turned into plain rows where they cannot."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from engine.data.examples.chat_formats import TURNS
from engine.data.examples.template import RejectedError
from engine.data.examples.turns import CALLS, Turn, read_tools, read_turns, with_system
from engine.data.reading.row import Row, RowLengths, Trouble
from engine.data.reading.text import chunks
from engine.drafting.encodings import WESTERN, drafted_encoding, note_of_encoding, text_of
from engine.drafting.foreign import foreign_rows
from engine.drafting.inputs import GivenFile, Inputs
from engine.drafting.label_columns import may_say_split, splits
from engine.drafting.layout_table import LOOKED_AT, SPLIT, columns_of
from engine.drafting.profile import Profile, is_called, profile_of
from engine.drafting.reading import NoRowsError, Reading, readings_of
from engine.drafting.reshape import reshaped
from engine.drafting.roles import are_classes
from engine.values import Value, replace

LABEL: Final = "label"
Values = Mapping[str, Any]
Parts = Sequence[tuple[GivenFile, str]]
"""Files, each with its encoding."""
Made = list[tuple[GivenFile, list[Values]]]


class Gathered(Value):
    readings: tuple[Reading, ...]
    profile: Profile
    rows: tuple[Values, ...] = ()
    """Rows that have to be written to a file first; none where the files are read as they stand."""
    whys: tuple[str, ...] = ()
    """Why they have to be."""
    notes: tuple[str, ...] = ()

    def content(self) -> bytes:
        lines = (json.dumps(row, ensure_ascii=False, default=str) for row in self.rows)
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")

    def split_rows(self) -> list[tuple[str, Values]]:
        """Return (split, row) of all rows; no split where the rows themselves say it."""
        return [("", row) for row in self.rows] or [
            (reading.into, row.values) for reading in self.readings for row in reading.rows()
        ]


def written(rows: Sequence[Values], file: Path, whys: Sequence[str], notes: Sequence[str]) -> Gathered:  # fmt: skip
    """Return rows that are to be written to a file, and why."""
    made = (Row(origin=f"{file.name}:{at}", values=values) for at, values in enumerate(rows, 1))
    reading = Reading(path=file, format="jsonl", why="; ".join(whys))
    return Gathered(
        readings=(reading,), profile=profile_of([("", made)]), rows=tuple(rows), whys=tuple(whys), notes=tuple(notes)
    )  # fmt: skip


def gather(
    inputs: Inputs,
    *,
    encoding: str,
    rows_file: Path,
    must_write: bool = False,
) -> Gathered:
    """Return the rows of the files; `rows_file` is where rows would be written that have to be.

    DataError where a file cannot be read.
    """
    parts = [(part, drafted_encoding(part.path, encoding)) for part in inputs.parts]
    western = [part.path.name for part, coding in parts if coding == WESTERN]
    note = note_of_encoding(western, encoding, WESTERN)
    notes = [*inputs.notes, *([note] if note else [])]
    foreign = _foreign(parts, inputs)
    if foreign is None:
        read, more = _readings(parts, inputs)
        notes += more
        readings = tuple(reading for _, reading in read)
        sample = [row.values for row in islice(readings[0].rows(), LOOKED_AT)]
        called = list(dict.fromkeys(part.label for part, _ in read if part.label))
        is_labelled = bool(called) and are_classes(called, sample)
        # A label beside the lines is the answer, whatever else stands beside them.
        names = {str(name) for row in sample for name in row}
        is_settled = inputs.beside and not inputs.names and any(is_called(n, LABEL) for n in names)
        whys = [] if is_settled else reshaped(sample, inputs.names)[1]
        if not whys and any(map(may_say_split, columns_of(sample))):
            # The first rows may be of one split.
            found = splits([row.values for reading in readings for row in reading.rows()])
            whys = [found[1]] if found else []
        if not whys and not is_labelled and not must_write:
            profile = profile_of((reading.into, reading.rows()) for reading in readings)
            return Gathered(readings=readings, profile=profile, notes=tuple(notes))
        # What is done to the rows is named once more below, of all of them.
        whys = ["an archive is not read where a run would look for it"] if must_write else []
        whys += ["the names of the files are the labels"] if is_labelled else []
        made = [
            (part if is_labelled else replace(part, label=""), [row.values for row in reading.rows()])
            for part, reading in read
        ]  # fmt: skip
        foreign = made, whys
    rows: list[Values] = []
    for part, some in foreign[0]:
        # What stands in the rows themselves is the answer, whatever their file is called.
        is_answered = bool(some) and not {LABEL, "labels", "spans"}.isdisjoint(some[0])
        own = {LABEL: part.label} if part.label and not is_answered else {}
        own |= {SPLIT: part.into} if part.into else {}
        rows += [{**row, **own} for row in some]
    turned, more_whys = reshaped(rows, inputs.names)
    return written(turned, rows_file, list(dict.fromkeys([*foreign[1], *more_whys])), notes)


def _foreign(parts: Parts, inputs: Inputs) -> tuple[Made, list[str]] | None:
    """Return the rows of files that no reader of a recipe reads, and what they are; None where readers do."""
    if inputs.beside:
        return None
    if all(part.is_document for part, _ in parts):
        texts = [(part, [_document(part, coding)]) for part, coding in parts]
        why = "each file is a text"
        if any(part.path.with_suffix(".ann").is_file() for part, _ in parts):
            why = "each text has its marks in a file beside it (.ann), as brat writes them"
        elif any(part.label for part, _ in parts):
            why = "each file is a text, in the folder of its class"
        return texts, [why]
    found: Made = []
    whys: list[str] = []
    for part, coding in parts:
        is_lines = part.label and part.suffix == ".txt"
        rows = None if is_lines else foreign_rows(part.path, coding)
        if rows is None:
            return None
        lengths, trouble = RowLengths(), Trouble(part.path.name)
        for at, values in enumerate(rows[0], 1):
            lengths.add(trouble.row(f"#{at}", values))
        lengths.check(trouble)
        found.append((part, list(rows[0])))
        whys.append(rows[1])
    return found, list(dict.fromkeys(whys))


def _document(part: GivenFile, encoding: str) -> Values:
    text = "".join(chunks(part.path, encoding, Trouble(part.path.name)))
    found: dict[str, Any] = {"file": part.path.name, "text": text}
    marks = part.path.with_suffix(".ann")
    if marks.is_file():
        # A text without marks has an empty file beside it.
        lines = text_of(marks, "utf-8").splitlines() if marks.stat().st_size else []
        found["spans"] = [
            {"label": one[1], "start": int(one[2]), "end": int(one[3])}
            for line in lines
            if (one := re.match(r"T\d+\t(\S+) (\d+)(?: \d+;\d+)* (\d+)\t", line))
        ]
    return found


def _readings(parts: Parts, inputs: Inputs) -> tuple[list[tuple[GivenFile, Reading]], list[str]]:
    """Return how each file is read, and of several which are left out: those without rows, and those of another table.

    A test file without the labels, as contests give it out, cannot judge either.
    """
    read: list[tuple[GivenFile, Reading]] = []
    notes: list[str] = []
    empty: NoRowsError | None = None
    for part, coding in parts:
        if inputs.beside:
            reading = Reading(
                path=part.path, format="lines", says_format=True, encoding=coding, into=part.into,
                beside=inputs.beside[part.path], why="lines of several files belong together",
            )  # fmt: skip
            read.append((part, reading))
            continue
        try:
            some = readings_of(part.path, encoding=coding)
        except NoRowsError as error:
            empty = error
            notes.append(f"{part.path.name} is left out: it holds no rows of named columns")
            continue
        read += [(part, replace(one, into=one.into or part.into)) for one in some]
    if empty is not None and not read:
        raise empty
    if len({part.path for part, _ in read}) < 2:
        return read, notes
    columns = [
        Counter(str(name) for row in islice(one.rows(), 50) for name in row.values)
        for _, one in read
    ]
    # Other files may lack what only some rows have.
    most = max(columns[0].values(), default=0)
    needed = {name for name, count in columns[0].items() if 2 * count >= most}
    kept = []
    for (part, reading), own in zip(read, columns, strict=True):
        if missing := sorted(needed - own.keys()):
            named = ", ".join(f"`{name}`" for name in missing[:3])
            notes.append(f"{part.path.name} is left out: it has no {named}")
        else:
            kept.append((part, reading))
    split = {reading.into for _, reading in kept}
    if "holdout" not in split and "" not in split:
        # What is left to judge is the validation file, or a part of the rows.
        swap = {"validation": "holdout"} if "validation" in split else {"train": ""}
        kept = [(p, replace(r, into=swap.get(r.into, r.into))) for p, r in kept]
    return kept, notes


WHY: Final = (
    "the base model's chat template has no place for tools: they stand in the system message, calls and results in"
    " the turns, as Hermes writes them"
)
INTRODUCED: Final = (
    "Functions you can call, by name and arguments as JSON in <tool_call></tool_call>:"
)
"""What stands before the definitions: https://github.com/NousResearch/Hermes-Function-Calling."""


def with_plain_tools(found: Gathered, rows_file: Path) -> Gathered:
    """Return the rows with their tools as text, to be written to `rows_file`; as they are where none has tools."""
    if not any(map(_has_tools, found.profile.kept[:2000])):
        return found
    given = found.split_rows()
    rows = []
    for into, row in given:
        with suppress(RejectedError, StopIteration):
            name = next(name for name in TURNS if name in row)
            turns = with_system(read_turns(row[name]), row.get("system"))
            split = row.get(SPLIT) or into
            messages = list(_turns(turns, read_tools(row.get("tools"))))
            rows.append({**({SPLIT: split} if split else {}), "messages": messages})
    left = len(given) - len(rows)
    why = f"{WHY}; {left:,} rows are no conversations and are left out" if left else WHY
    return written(rows, rows_file, (*found.whys, why), found.notes)


def _has_tools(row: Values) -> bool:
    turns = next((row[name] for name in TURNS if isinstance(row.get(name), list)), None)
    if turns is None or "chosen" in row:
        return False
    # A list that is empty, or says so as text, defines none.
    return row.get("tools") not in (None, "", [], "[]") or any(
        turn.get("tool_calls")
        or turn.get("function_call")
        or CALLS in (turn.get("role"), turn.get("from"))
        for turn in turns
        if isinstance(turn, Mapping)
    )


def _turns(turns: Iterable[Turn], tools: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    defined = "\n".join(_json(tool["function"]) for tool in tools)
    defined = defined and f"{INTRODUCED}\n{defined}"
    first, *rest = turns
    is_system = first["role"] == "system"
    if system := "\n\n".join(filter(None, (first["content"] if is_system else "", defined))):
        yield {"role": "system", "content": system}
    results: list[str] = []
    for turn in (*rest,) if is_system else (first, *rest):
        if turn["role"] == "tool":
            results.append(f"<tool_response>\n{turn['content']}\n</tool_response>")
            continue
        # What several tools gave is one turn: what the model reads before it goes on.
        if results:
            yield {"role": "user", "content": "\n".join(results)}
            results = []
        calls = [
            f"<tool_call>\n{_json(call['function'])}\n</tool_call>"
            for call in turn.get("tool_calls", ())
        ]
        weight = {} if turn.get("trained", True) else {"weight": 0}
        yield {
            "role": turn["role"], "content": "\n".join(filter(None, (turn["content"], *calls))), **weight
        }  # fmt: skip
    if results:
        yield {"role": "user", "content": "\n".join(results)}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
