"""The rows of what was given: as the readers of a recipe read them, or turned into plain rows where they cannot."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

from engine.data.examples.chat_formats import TURNS, listed_turns
from engine.data.examples.template import RejectedError
from engine.data.examples.turns import Turn, read_tools
from engine.data.reading.row import Row
from engine.drafting.column_profile import Profile, is_called, profile_of
from engine.drafting.inputs import Inputs, settled
from engine.drafting.layout_table import LOOKED_AT, SPLIT, columns_of
from engine.drafting.layouts import may_say_split, plain_rows
from engine.drafting.roles import are_classes
from engine.drafting.source_reading import (
    WESTERN,
    Reading,
    drafted_encoding,
    local,
    note_of_encoding,
    readings_of,
    text_of,
)
from engine.drafting.value_shapes import NoRowsError
from engine.values import Value, replace

LABEL: Final = "label"
Values = Mapping[str, Any]


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
    reading = Reading(ref=local(file), format="jsonl", why="; ".join(whys))
    return Gathered(
        readings=(reading,), profile=profile_of([("", made)]), rows=tuple(rows), whys=tuple(whys), notes=tuple(notes)
    )  # fmt: skip


def gather(inputs: Inputs, *, encoding: str, rows_file: Path, must_write: bool = False) -> Gathered:
    """Return the rows of the files; `rows_file` is where rows would be written that have to be.

    DataError where a file cannot be read.
    """
    files = [replace(file, encoding=drafted_encoding(file.path, encoding)) for file in inputs.parts]
    western = [file.path.name for file in files if file.encoding == WESTERN]
    note = note_of_encoding(western, encoding, WESTERN)
    readings, more = _readings(files)
    notes = [*inputs.notes, *([note] if note else []), *more]
    sample = [row.values for row in islice(readings[0].rows(), LOOKED_AT)]
    classes = list(dict.fromkeys(reading.label for reading in readings if reading.label))
    are_texts = all(file.is_document for file in files)
    are_labels = are_texts or (bool(classes) and are_classes(classes, sample))
    whys = list(dict.fromkeys(reading.why for reading in readings if reading.made is not None))
    if must_write and not whys:
        whys.append("an archive is not read where a run would look for it")
    if classes and are_labels and not are_texts:
        whys.append("the names of the files are the labels")
    columns = columns_of(sample)
    # A label beside the lines is the answer, whatever else stands beside them.
    is_labelled = bool(readings[0].beside) and any(is_called(name, LABEL) for name in columns)
    is_settled = is_labelled and not inputs.names
    # The first rows may be of one split.
    may_be_odd = any(map(may_say_split, columns)) or (
        not is_settled and bool(plain_rows(sample, inputs.names)[1])
    )
    rows: list[Values] = []
    for reading in readings if whys or may_be_odd else ():
        some = [row.values for row in reading.rows()]
        # What stands in the rows themselves is the answer, whatever their file is called.
        is_answered = bool(some) and not {LABEL, "labels", "spans"}.isdisjoint(some[0])
        own = {LABEL: reading.label} if reading.label and are_labels and not is_answered else {}
        own |= {SPLIT: reading.into} if reading.into else {}
        rows += [{**row, **own} for row in some]
    turned, more_whys = plain_rows(rows, inputs.names)
    if whys or more_whys:
        return written(turned, rows_file, list(dict.fromkeys([*whys, *more_whys])), notes)
    profile = profile_of((reading.into, reading.rows()) for reading in readings)
    return Gathered(readings=tuple(readings), profile=profile, notes=tuple(notes))


def _readings(files: Sequence[Reading]) -> tuple[list[Reading], list[str]]:
    """Return how each file is read, and of several which are left out: those without rows, and those of another table.

    A test file without the labels, as contests give it out, cannot judge either.
    """
    readings: list[Reading] = []
    notes: list[str] = []
    empty: NoRowsError | None = None
    for file in files:
        try:
            some = _readings_of(file)
        except NoRowsError as error:
            empty, some = error, ()
            notes.append(f"{file.path.name} is left out: it holds no rows of named columns")
        readings += [replace(r, into=r.into or file.into, label=file.label) for r in some]
    if empty is not None and not readings:
        raise empty
    if files[0].is_document or len({reading.path for reading in readings}) < 2:
        return readings, notes
    columns = [
        Counter(str(name) for row in islice(reading.rows(), 50) for name in row.values)
        for reading in readings
    ]
    # Other files may lack what only some rows have.
    most = max(columns[0].values(), default=0)
    needed = {name for name, count in columns[0].items() if 2 * count >= most}
    kept = []
    for reading, own in zip(readings, columns, strict=True):
        if missing := sorted(needed - own.keys()):
            named = ", ".join(f"`{name}`" for name in missing[:3])
            notes.append(f"{reading.path.name} is left out: it has no {named}")
        else:
            kept.append(reading)
    # The file that was to judge may be left out.
    kept, more = settled(kept)
    return kept, [*notes, *more]


def _readings_of(file: Reading) -> Sequence[Reading]:
    if file.columns:
        why = "lines of several files belong together"
        return [replace(file, format="lines", says_format=True, why=why)]
    if not file.is_document:
        return readings_of(file.path, encoding=file.encoding, is_class=bool(file.label))
    row = {"file": file.path.name, "text": text_of(file.path, file.encoding)}
    why = "each file is a text, in the folder of its class" if file.label else "each file is a text"
    return [Reading(ref=file.ref, format="text", made=(row,), why=why)]


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
    if not any(
        tools or any("tool_calls" in turn or turn["role"] == "tool" for turn in turns)
        for turns, tools in map(_talk, found.profile.kept[:2000])
    ):
        return found
    given = found.split_rows()
    rows = []
    for into, row in given:
        turns, tools = _talk(row)
        split = row.get(SPLIT) or into
        if turns:
            messages = list(_plain_turns(turns, tools))
            rows.append({**({SPLIT: split} if split else {}), "messages": messages})
    left = len(given) - len(rows)
    why = f"{WHY}; {left:,} rows are no conversations and are left out" if left else WHY
    return written(rows, rows_file, (*found.whys, why), found.notes)


def _talk(row: Values) -> tuple[list[Turn], list[dict[str, Any]]]:
    """Return the turns of a conversation and the tools that it defines; nothing of any other row."""
    if "chosen" in row or row.keys().isdisjoint(TURNS):
        return [], []
    try:
        return listed_turns(row), read_tools(row.get("tools"))
    except RejectedError:
        return [], []


def _plain_turns(turns: Sequence[Turn], tools: Sequence[Values]) -> Iterator[dict[str, Any]]:
    at = int(turns[0]["role"] == "system")
    systems = [turn["content"] for turn in turns[:at]]
    if tools:
        systems.append("\n".join([INTRODUCED, *(_json(tool["function"]) for tool in tools)]))
    if any(systems):
        yield {"role": "system", "content": "\n\n".join(filter(None, systems))}
    for is_result, group in groupby(turns[at:], lambda turn: turn["role"] == "tool"):
        if is_result:
            # What several tools gave is one turn: what the model reads before it continues.
            results = (f"<tool_response>\n{turn['content']}\n</tool_response>" for turn in group)
            yield {"role": "user", "content": "\n".join(results)}
            continue
        for turn in group:
            calls = (_json(call["function"]) for call in turn.get("tool_calls", ()))
            texts = [turn["content"], *(f"<tool_call>\n{call}\n</tool_call>" for call in calls)]
            weight = {} if turn.get("trained", True) else {"weight": 0}
            yield {"role": turn["role"], "content": "\n".join(filter(None, texts)), **weight}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
