"""The development sets that defaults of `method` are tuned on: six kinds of short texts from ../shared/data.

Only half of the rows are taken, by the parity of a digest of the text; the other half is left for `results.py`, so
that no row that tuned a default is one that a result is claimed on. Nothing of the data is kept.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from engine.recipe.model import Task

DATA = Path(__file__).parents[2] / "shared" / "data"
Rows = list[tuple[str, str]]
"""(text, label)."""
TEST, VALIDATION = 300, 100
BANKING, CLINC = 20, 30
"""Labels that are taken of the 77 and the 150."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentSet:
    """One task with its rows, drawn for a seed."""

    task: Task
    train: Rows
    validation: Rows
    test: Rows


def load_set(name: str, *, rows: int, seed: int) -> DevelopmentSet:
    """Return a set with so many training rows; FileNotFoundError where its data are absent.

    Test rows are the same for every seed and size; training and validation rows are drawn by the seed.
    """
    instruction, _ = SETS[name]
    ordered = _ordered(name)
    test, rest = ordered[:TEST], ordered[TEST:]
    random.Random(seed).shuffle(rest)  # noqa: S311 - repeatable
    found = Counter(label for _, label in ordered)
    task = Task(
        kind="classification",
        instruction=instruction,
        system="",
        input="{text}",
        labels=tuple(sorted(found)),
        schema=None,
        output="text",
    )
    validation, rest = rest[:VALIDATION], rest[VALIDATION:]
    if len(rest) < rows:
        raise ValueError(f"{name} has {len(rest)} rows to train on, not {rows}")
    return DevelopmentSet(task=task, train=rest[:rows], validation=validation, test=test)


def left_rows(name: str, drawn: DevelopmentSet) -> Rows:
    """Return the development rows of a set that are neither trained on nor validated, its test rows first."""
    used = {text for text, _ in (*drawn.train, *drawn.validation)}
    return [row for row in _ordered(name) if row[0] not in used]


def texts_of_results(name: str) -> list[str]:
    """Return the texts of the half that tunes no default, without their labels."""
    return [text for text, _ in _ordered(name, development=False)]


def _ordered(name: str, *, development: bool = True) -> Rows:
    _, read = SETS[name]
    unique = {
        text: label
        for text, label in read()
        if text.strip() and is_development(text) is development
    }
    return sorted(unique.items(), key=lambda row: _digest(row[0]))


def is_development(text: str) -> bool:
    """Return whether a text may tune a default; the others are those of results."""
    return _digest(text)[0] % 2 == 0


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _csv(path: Path, text: str, label: str) -> Rows:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as stream:
        return [(row[text], row[label]) for row in csv.DictReader(stream)]


def _first_labels(rows: Iterable[tuple[str, str]], count: int) -> Rows:
    """Return the rows of labels that a digest puts first: the names' order says which topics they have."""
    kept = list(rows)
    labels = sorted({label for _, label in kept}, key=_digest)[:count]
    return [(text, label.replace("_", " ")) for text, label in kept if label in labels]


def _banking() -> Rows:
    return _first_labels(_csv(DATA / "banking77" / "train.csv", "text", "category"), BANKING)


def _clinc() -> Rows:
    with gzip.open(DATA / "clinc150" / "data_full.json.gz", "rt", encoding="utf-8") as stream:
        found: dict[str, Sequence[tuple[str, str]]] = json.load(stream)
    return _first_labels(((text, label) for text, label in found["train"]), CLINC)


def _snips() -> Rows:
    texts, labels = (
        (DATA / "snips" / "train" / part).read_text("utf-8").splitlines()
        for part in ("seq.in", "label")
    )
    return [(text.strip(), label) for text, label in zip(texts, labels, strict=True)]


def _headlines() -> Rows:
    names = {"0": "serious", "1": "satirical"}
    path = DATA / "sarcasm_headlines" / "headlines.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [(row["text"], names[row["label"]]) for row in map(json.loads, stream)]


def _spam() -> Rows:
    lines = (DATA / "sms_spam" / "SMSSpamCollection").read_text("utf-8").splitlines()
    return [(text, label) for label, _, text in (line.partition("\t") for line in lines)]


def _emotions() -> Rows:
    return _csv(DATA / "indonlu_emot_id" / "train.csv.gz", "tweet", "label")


SETS: dict[str, tuple[str, Callable[[], Rows]]] = {
    "banking": (
        "Which intent does this message to a bank have? Answer with one of: {labels}.",
        _banking,
    ),
    "clinc": ("What does the speaker want? Answer with one of: {labels}.", _clinc),
    "snips": ("What does the speaker want from the assistant?", _snips),
    "headlines": ("Is this headline serious or satirical?", _headlines),
    "spam": ("Is this message spam or ham?", _spam),
    "emotions": ("Which emotion does this Indonesian tweet have?", _emotions),
}
"""20, 30, 7, 2, 2 and 5 labels; the third, fourth and fifth without their list, as many recipes are written."""
