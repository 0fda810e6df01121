"""Tokens of rows that nothing has rendered yet, from a sample: by the base model's tokenizer, or by characters."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from engine.data.examples.answers import READING_ERRORS
from engine.data.examples.chat_formats import shape_of
from engine.data.examples.example import iter_examples
from engine.data.examples.template import Filled
from engine.data.kinds import filler
from engine.data.token_estimate import RowText, estimated_tokens, is_english, row_text
from engine.errors import DataError, StageError
from engine.failures import library_errors
from engine.recipe.model import PathRef, Recipe, Source, Task
from engine.recipe.prompt import question
from engine.recipe.text.paths import format_of
from engine.runtime.models.files import require_vocabulary
from engine.store import Artifact
from engine.values import Value

OPENING: Final = 20
"""Tokens of the system message that many chat templates write where there is none, about."""
TURN: Final = 5
"""Tokens that a chat template writes around a turn, about."""
BEFORE_TEXT: Final = 3
"""Tokens among these that come before the turn's text."""
SAMPLE: Final = 300
"""Rows of each source that are looked at where the data stage has not run."""
EXAMPLES: Final = 3000
CHARACTERS: Final = 500_000
"""Characters of these rows together, about; longer ones are left out."""
LARGEST_TOKENIZER: Final = 64 << 20
"""Bytes of a tokenizer.json that a plan reads; one of 256,000 tokens has half of that."""


Lengths = tuple[tuple[int, int], ...]
"""(tokens, rows that have so many), shortest first."""


def lengths_of(counted: Mapping[int, int]) -> Lengths:
    return tuple(sorted((tokens, rows) for tokens, rows in counted.items() if rows))


def in_blocks(lengths: Lengths, limit: int) -> Lengths:
    counted: Counter[int] = Counter()
    for tokens, rows in lengths:
        whole, rest = divmod(tokens, limit)
        counted[limit] += whole * rows
        counted[rest] += rows if rest else 0
    return lengths_of(counted)


def rows_in(lengths: Lengths) -> int:
    return sum(count for _, count in lengths)


def mean(lengths: Lengths) -> float:
    rows = rows_in(lengths)
    return sum(tokens * count for tokens, count in lengths) / rows if rows else 0.0


def padded(lengths: Lengths, together: int) -> float:
    """Return the expected length that `together` rows drawn at random are padded to; 0 for none."""
    rows, expected, below, seen = rows_in(lengths), 0.0, 0.0, 0
    for tokens, count in lengths:
        seen += count
        # The chance that none of the rows drawn is longer.
        share = (seen / rows) ** together
        expected += tokens * (share - below)
        below = share
    return expected


class RowSample(Value):
    """Rows that were looked at, by their tokens before anything is cut or left out."""

    train: Lengths = ()
    validation: Lengths = ()
    shared: int = 0
    """Tokens that all rows begin with."""
    from_characters: bool = True

    @property
    def rows(self) -> int:
        return rows_in(self.train)


def sampled_examples(recipe: Recipe, data: Artifact, tokenizer: Path | None) -> RowSample:
    """Return the first rows of the splits that the data stage drew, which are drawn at random."""
    task = recipe.task
    train, validation = (
        list(_within(row_text(task, row) for row in itertools.islice(rows, EXAMPLES)))
        for split in ("train", "validation")
        for rows in [iter_examples(data.file(f"{split}.jsonl"))]
    )
    return _sample(task, train, validation, tokenizer)


def sampled_sources(recipe: Recipe, tokenizer: Path | None) -> RowSample:
    task = recipe.task
    rows = [
        row
        for source in recipe.data.sources
        for row in _within(row_text(task, filled) for filled in _filled(source, recipe))
    ]
    return _sample(task, rows, rows, tokenizer)


def _sample(
    task: Task, train: Sequence[RowText], validation: Sequence[RowText], path: Path | None
) -> RowSample:
    if not train:
        return RowSample()
    tokenizer = None if path is None else _tokenizer(path, path.stat().st_mtime_ns)
    count = _counter(tokenizer, english=is_english(row.asked for row in train))
    asked = 0.0
    if task.spec.has_turns:
        asking = _counter(tokenizer, english=is_english([f"{task.system} {task.instruction}"]))
        asked = asking(task.system) + asking(question(task, ""))

    def tokens(row: RowText) -> int:
        own = count(row.text)
        if not task.spec.has_turns:
            return math.ceil(own) + 1  # the end of the text
        adds_system = bool(task.system) and not row.has_system
        turns = TURN * (row.turns + adds_system)
        opening = 0 if adds_system or row.has_system else OPENING
        return opening + turns + math.ceil(own + asked)

    def lengths(rows: Sequence[RowText]) -> Lengths:
        return lengths_of(Counter(map(tokens, rows)))

    found = lengths(train)
    shared = 0.0  # of documents, and of rows that begin with system messages of their own
    if task.spec.has_turns and not any(row.has_system for row in train):
        # What the template opens with, and what the task asks.
        shared = (TURN if task.system else OPENING) + BEFORE_TEXT + asked
    return RowSample(
        train=found,
        validation=found if validation is train else lengths(validation),
        shared=math.floor(shared),
        from_characters=tokenizer is None,
    )


CountTokens = Callable[[str], float]


def _counter(tokenizer: Any, *, english: bool) -> CountTokens:
    if tokenizer is None:
        return lambda text: estimated_tokens(text, english=english)
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _within(rows: Iterable[RowText]) -> Iterator[RowText]:
    characters = 0
    for row in rows:
        yield row
        characters += len(row.text)
        if characters > CHARACTERS:
            return


def _filled(source: Source, recipe: Recipe) -> Iterator[Filled]:
    ref = source.ref
    if not isinstance(ref, PathRef) or ref.withheld or source.columns:
        return
    # `recipe plan` comes here and must start without pyarrow.
    if format_of(ref.path.name, source.format) in (None, "parquet"):
        return
    # only where rows lie here: readers of every format
    from engine.data.reading.readers import read_rows

    fill = None
    # A plan judges no data; `recipe data` reports what is wrong with it.
    try:
        for row in itertools.islice(read_rows(ref.path, source), SAMPLE):
            if fill is None:
                shape = shape_of(recipe.task, recipe.data, row.values)
                fill = filler(recipe.task, recipe.data, shape)
            try:
                yield fill(row.values)
            except READING_ERRORS:
                continue
    except (DataError, OSError):
        return


@lru_cache(maxsize=1)
def _tokenizer(path: Path, changed: int) -> Any:
    """Return the tokenizer of a file, None where it cannot be read: a plan says nothing of it, a run does."""
    del changed  # a key of the cache
    if path.stat().st_size > LARGEST_TOKENIZER:
        return None
    try:
        with library_errors("X601", "the tokenizer cannot be read", hint=""):
            from tokenizers import Tokenizer  # an extra

            require_vocabulary(path.parent)
            found = Tokenizer.from_file(str(path))
            found.no_truncation()
            found.no_padding()
            return found
    except StageError:
        return None
