"""Pairs of versions whose data differ, drawn by a seed: classes of changes over every way of dividing.

What a pair is comes from dividing both versions and comparing the rows that judge, never from its name.
"""

from __future__ import annotations

import copy
import csv
import gzip
import hashlib
import io
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from engine.lock.file import lock_path, write_lock
from engine.recipe import load_recipe
from support.changed_kinds import SHAPES, lines_of
from support.recipe_pairs import PLACES, TOPICS, made_lock

ROWS: Final = 80
CLASSIFICATION: Final = "classification"
MAIN, TESTS, MORE = "tickets.csv", "tests.csv", "more.csv"
SPLITS: Final[Mapping[str, dict[str, Any]]] = {
    "stratified shares": {"by": "stratified", "train": 0.6, "validation": 0.1, "holdout": 0.3},
    "stratified sizes": {"by": "stratified", "train": 30, "validation": 5, "holdout": 20},
    "random shares": {"by": "random", "train": 0.6, "validation": 0.1, "holdout": 0.3},
    "random sizes": {"by": "random", "train": 30, "validation": 5, "holdout": 20},
    "groups": {"by": {"group": "customer"}, "train": 0.6, "validation": 0.1, "holdout": 0.3},
    "time": {"by": {"time": "day"}, "train": 0.6, "validation": 0.1, "holdout": 0.3},
    "files": {"by": "files", "validation": 0},
    "column": {"by": {"column": "part"}, "validation": 0},
    "folds": {"by": "stratified", "validation": 0.1, "folds": 5},
}
Row = dict[str, str]


@dataclass(slots=True, kw_only=True)
class Version:
    """One version: a recipe and its files."""

    recipe: dict[str, Any]
    files: dict[str, list[Row]]
    written: dict[str, str] = field(default_factory=dict)
    """How a file is written where it is no plain CSV: see `file_bytes`."""
    kind: str = CLASSIFICATION

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The sources as the recipe lists them."""
        found: list[dict[str, Any]] = self.recipe["data"]["sources"]
        return found

    @property
    def checks(self) -> dict[str, str]:
        """The checks as the recipe says them."""
        found: dict[str, str] = self.recipe["data"]["checks"]
        return found

    def write(self, folder: Path) -> Path:
        """Write all files and return the recipe's."""
        folder.mkdir(parents=True)
        shape = SHAPES.get(self.kind)
        if shape and shape.nested:
            for source in self.sources:
                source.setdefault("format", "jsonl")
        for name, rows in self.files.items():
            how = self.written.get(name, "jsonl" if shape and shape.nested else "")
            shaped = [shape.row(row) for row in rows] if shape else rows
            (folder / name).write_bytes(file_bytes(shaped, how))
        path = folder / "tickets.yaml"
        path.write_text(yaml.safe_dump(self.recipe, sort_keys=False), encoding="utf-8")
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two versions, and how the second was made of the first."""

    name: str
    old: Version
    new: Version
    locked: bool

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both; with a lock, the same one stands beside both."""
        paths = self.old.write(folder / "old"), self.new.write(folder / "new")
        if self.locked:
            lock = made_lock(load_recipe(paths[0])[0])
            for path in paths:
                write_lock(lock_path(path), lock)
        return paths


class NotApplicableError(Exception):
    """A change that this way of dividing does not have."""


def pairs(
    seed: int,
    classes: Mapping[str, Change],
    ways: Iterable[str] = SPLITS,
    *,
    kind: str = CLASSIFICATION,
    beside: Mapping[str, Change] | None = None,
) -> list[Pair]:
    """Return one pair of each class, way of dividing, with a lock and without; old versions of a way are alike.

    `beside`: each change stands beside one of these, as in a pull request that says it only tidies up.
    """
    found = []
    for way in ways:
        base = version(way, random.Random(f"{seed} {way}"), kind)
        for what, change in classes.items():
            for locked in (False, True):
                draw = random.Random(f"{seed} {what} {way} {locked}")
                edit = Edit(old=copy.deepcopy(base), new=copy.deepcopy(base), way=way, draw=draw)
                other = draw.choice(sorted(beside)) if beside else ""
                try:
                    change(edit)
                    if beside:
                        beside[other](edit)
                # of two edits, the second may look for what the first has renamed
                except (NotApplicableError, KeyError) as error:
                    if not beside and not isinstance(error, NotApplicableError):
                        raise
                    continue
                old, new = edit.old, edit.new
                name = f"{what}{f' + {other}' if other else ''}, {kind} by {way}{', lock' if locked else ''}"
                found.append(Pair(name=name, old=old, new=new, locked=locked))
    return found


def version(way: str, draw: random.Random, kind: str = CLASSIFICATION) -> Version:
    """Return a recipe that divides its rows in one way, and the rows."""
    rows = [made_row(number, draw) for number in range(ROWS)]
    sources: list[dict[str, Any]] = [{"path": MAIN}]
    files = {MAIN: rows}
    if way == "files":
        files = {MAIN: rows[:50], TESTS: rows[50:]}
        sources = [{"path": MAIN, "into": "train"}, {"path": TESTS, "into": "holdout"}]
    recipe = _recipe(SPLITS[way], sources)
    if kind != CLASSIFICATION:
        recipe = SHAPES[kind].recipe(recipe)
    return Version(recipe=recipe, files=files, kind=kind)


def _recipe(splits: dict[str, Any], sources: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "recipe": "v1",
        "name": "tickets",
        "task": {
            "kind": "classification",
            "instruction": "Which topic is this ticket about: {labels}?",
            "input": "{text}",
            "labels": list(TOPICS),
        },
        "base_model": {
            "hub": "HuggingFaceTB/SmolLM2-360M-Instruct",
            "revision": "0123456789abcdef0123456789abcdef01234567",
        },
        "data": {
            "sources": sources,
            "label": {"column": "topic"},
            "checks": {
                "near_duplicates": "warn",
                "personal_data": "warn",
                "mojibake": "warn",
                "control_characters": "warn",
                "label_in_input": "warn",
                "leakage": "warn",
                "duplicates": "drop",
                "conflicting_labels": "drop",
            },
        },
        "splits": dict(splits),
        "baselines": ["majority"],
        "method": {"kind": "lora"},
        "acceptance": {"metrics": {"macro_f1": {"min": 0.6}}},
    }


def made_row(number: int, draw: random.Random) -> Row:
    topic = draw.choice(list(TOPICS))
    words = [draw.choice(TOPICS[topic]), draw.choice(PLACES), str(draw.randrange(1000, 9999))]
    draw.shuffle(words)
    salt = hashlib.sha256(f"{number} {draw.random()}".encode()).hexdigest()[:16]
    extra = {0: f"mail a{number}@example.org", 1: "cafÃ© naÃ¯ve", 2: "tab\u202ehere"}
    text = " ".join([*words, salt, extra.get(number % 7, "")]).strip()
    return {
        "text": text,
        "topic": topic,
        "other": draw.choice(list(TOPICS)),
        "customer": f"c{number % 40}",
        "day": f"2026-01-{number % 28 + 1:02}T{number // 28:02}:00:00",
        "part": "test" if number % 3 == 0 else "train",
    }


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    from pyarrow import BufferOutputStream, Table  # only where a file is one
    from pyarrow.parquet import write_table

    stream = BufferOutputStream()
    write_table(Table.from_pylist(rows), stream)
    found: bytes = stream.getvalue().to_pybytes()
    return found


def file_bytes(rows: list[dict[str, Any]], how: str) -> bytes:
    if how == "jsonl":
        return lines_of(rows)
    if how == "parquet":
        return parquet_of(rows)
    stream = io.StringIO()
    writer = csv.DictWriter(
        stream,
        list(rows[0]),
        lineterminator="\r\n" if how == "crlf" else "\n",
        delimiter="\t" if how == "tabs" else ",",
        quoting=csv.QUOTE_ALL if how == "quoted" else csv.QUOTE_MINIMAL,
    )
    if how != "headless":
        writer.writeheader()
    writer.writerows(rows)
    found = stream.getvalue().encode("utf-8-sig" if how == "marked" else "utf-8")
    return gzip.compress(found, mtime=0) if how == "gzip" else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change in the making."""

    old: Version
    new: Version
    way: str
    draw: random.Random

    def judging_rows(self) -> list[Row]:
        """Rows of the new version that judge: known from the data, or any where a draw decides."""
        if self.way == "files":
            return self.new.files[TESTS]
        rows = self.new.files[MAIN]
        return [row for row in rows if row["part"] == "test"] if self.way == "column" else rows

    def some(self, share: float = 0.25) -> list[Row]:
        """Some of them."""
        rows = self.judging_rows()
        return self.draw.sample(rows, int(len(rows) * share))

    def only(self, *ways: str) -> None:
        """Leave the pair out where rows are divided in another way."""
        if not self.way.startswith(ways):
            raise NotApplicableError

    def drop(self, gone: list[Row]) -> None:
        """Take rows out of every file."""
        marks = {row["text"] for row in gone}
        for name, rows in self.new.files.items():
            self.new.files[name] = [row for row in rows if row["text"] not in marks]

    def easy(self, rows: int) -> list[Row]:
        """Rows that any model answers, of texts of their own."""
        made = [made_row(1000 + number, self.draw) for number in range(rows)]
        return [{**row, "text": f"{row['topic']} {row['text']}", "part": "test"} for row in made]


Change = Callable[[Edit], None]
