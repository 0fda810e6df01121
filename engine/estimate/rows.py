"""What is known of rows before they are trained: counted by the tokenizer, or estimated from characters."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.data.examples.example import Example, iter_examples
from engine.data.examples.template import MissingColumnError, UnusableValueError, parse_template
from engine.data.reading.readers import read_rows
from engine.errors import DataError
from engine.estimate.workload import Lengths, Workload, capped, lengths_of
from engine.recipe.answer_json import strings
from engine.recipe.formats import format_of
from engine.recipe.model import PathRef, Recipe, Source
from engine.runtime.rendering.key import (
    FACTS,
    counts_after_rendering,
    rendered_key,
)
from engine.store import Artifact, Store
from engine.training.trained_rows import split_rows

CHARACTERS = 4.0
"""Of English text in a token; an assumption, and named as one."""
AROUND = 30
"""Tokens of a chat template around a row; an assumption too."""
SAMPLE = 300
"""Rows that are looked at where none has been counted."""


def workload_of(
    recipe: Recipe, store: Store, *, data: Artifact | None, base_model: Mapping[str, Any]
) -> Workload:
    """Return what is known of the rows, from the best there is."""
    rows = split_rows(recipe, data) or (None, None)
    if data is not None:
        rendered = store.get(rendered_key(recipe, data.key, base_model).digest)
        counted = counted_rows(rendered) if rendered else None
        return counted or _from_examples(recipe, data, rows)
    return _from_sources(recipe, rows)


def counted_rows(rendered: Artifact) -> Workload | None:
    """Return what the tokenizer counted; None for rows that were rendered before lengths were kept."""
    facts = json.loads(rendered.file(FACTS).read_text(encoding="utf-8"))
    lengths = {
        split: tuple((tokens, rows) for tokens, rows in facts[split].get("lengths", ()))
        for split in ("train", "validation")
    }
    if not lengths["train"]:
        return None
    rows, tokens = facts["train"]["rows"], facts["train"]["tokens"]
    return Workload(
        train_rows=rows,
        validation_rows=facts["validation"]["rows"],
        train=lengths["train"],
        validation=lengths["validation"],
        exact=True,
        shared=facts["train"].get("shared_tokens", 0),
        learned=facts["train"]["supervised_tokens"] / rows if rows else 0.0,
        source=f"{rows} training rows{_left_out(facts['train'])} of {tokens:,} tokens, counted by the"
        " base model's tokenizer; "
        f"the longest has {facts['train']['longest']}",
    )


def _from_examples(recipe: Recipe, data: Artifact, rows: tuple[int | None, int | None]) -> Workload:
    def guessed(split: str) -> Lengths:
        examples = iter_examples(data.file(f"{split}.jsonl"))
        return _guessed(recipe, map(_characters, itertools.islice(examples, 10 * SAMPLE)))

    return Workload(
        train_rows=rows[0],
        validation_rows=rows[1],
        train=guessed("train"),
        validation=guessed("validation"),
        exact=False,
        shared=_guessed_start(recipe),
        source=f"{rows[0]} training rows{_before(recipe)}; their tokens are an estimate from characters, "
        f"{CHARACTERS:g} to a token (`--probe` or a run counts them)",
    )


def _from_sources(recipe: Recipe, rows: tuple[int | None, int | None]) -> Workload:
    texts: list[int] = []
    for source in recipe.data.sources:
        if not isinstance(source.ref, PathRef) or source.ref.withheld:
            continue
        if format_of(source.ref.path.name, source.format):
            texts += _sampled(source, source.ref.path, recipe)
    known = "rows are counted by `recipe data`"
    if rows[0] is not None:
        known = f"{rows[0]} training rows{_before(recipe)}"
    if texts:
        known += (
            f"; their tokens are an estimate from the characters of {len(texts)} rows, "
            f"{CHARACTERS:g} to a token"
        )
        lengths = _guessed(recipe, texts)
    else:
        known += (
            f"; every row is taken as long as max_length allows, {recipe.method.max_length} tokens"
        )
        lengths = ((recipe.method.max_length, 1),)
    return Workload(
        train_rows=rows[0],
        validation_rows=rows[1],
        train=lengths,
        validation=lengths,
        exact=False,
        shared=_guessed_start(recipe),
        source=known,
        at_most=not texts,
    )


def _before(recipe: Recipe) -> str:
    """Say what will still change the number of rows."""
    if not counts_after_rendering(recipe):
        return ""
    if not recipe.task.spec.has_turns:
        return " before documents are cut into blocks"
    if recipe.data.checks.truncation == "drop":
        return f" before those of more than {recipe.method.max_length} tokens are left out"
    return " before those with tokens of the chat template are left out"


def _left_out(facts: Mapping[str, Any]) -> str:
    """Say how many rows were left out of so many."""
    found = len(facts["dropped"]) if "given" not in facts else facts["given"] - facts["rows"]
    return f" ({found} left out)" if facts["dropped"] else ""


def _characters(example: Example) -> int:
    """Return the characters of what stands in the row; of a chat all turns."""
    if example.payload:
        return max(
            len(example.input) + len(example.target), sum(map(len, strings(example.payload)))
        )
    return len(example.input) + len(example.target)


def _sampled(source: Source, path: Path, recipe: Recipe) -> list[int]:
    """Return the characters of the first rows of a local file; none of one that only a run can read."""
    # `recipe plan` comes here and must start without pyarrow.
    if format_of(path.name, source.format) == "parquet" or source.columns:
        return []
    try:
        rows = itertools.islice(read_rows(path, source), SAMPLE)
        return list(_filled(recipe, (row.values for row in rows)))
    # A plan judges no data; `recipe data` reports what is wrong with it.
    except (DataError, OSError):
        return []


def _filled(recipe: Recipe, rows: Iterable[Mapping[str, Any]]) -> Iterator[int]:
    template = parse_template(recipe.task.input) if recipe.task.input else None
    for values in rows:
        try:
            yield len(template.fill(values)[0]) if template else sum(map(len, strings(values)))
        except (MissingColumnError, UnusableValueError):
            continue


def _guessed(recipe: Recipe, characters: Iterable[int]) -> Lengths:
    asked = _asked(recipe)
    counted = Counter(AROUND + math.ceil((length + asked) / CHARACTERS) for length in characters)
    return capped(lengths_of(counted), recipe.method.max_length)


def _guessed_start(recipe: Recipe) -> int:
    """Return the tokens of the instruction and the system message, which stand before what rows differ in."""
    return math.floor(_asked(recipe) / CHARACTERS)


def _asked(recipe: Recipe) -> int:
    return len(recipe.task.instruction) + len(recipe.task.system)
