"""Number and length of rows before they are trained: counted by the tokenizer, or estimated from a sample."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Final

from engine.data.examples.answers import READING_ERRORS
from engine.data.examples.chat_formats import shape_of
from engine.data.examples.example import iter_examples
from engine.data.examples.template import Filled
from engine.data.kinds import filler
from engine.data.token_estimate import RowText, estimated_tokens, is_english, row_text
from engine.errors import DataError, StageError
from engine.estimate.shape import tokenizer_file
from engine.failures import library_errors
from engine.files.reading import read_json
from engine.recipe.model import PathRef, Recipe, Source, Task
from engine.recipe.prompt import question
from engine.recipe.text.paths import format_of
from engine.runtime.models.model_files import require_vocabulary
from engine.runtime.rendering.key import FACTS, rendered_key
from engine.store import Artifact, Store
from engine.training.trained_rows import TrainedRows, lacks_replay, trained_rows
from engine.values import Value, replace

OPENING: Final = 20
"""Tokens of the default system message of many chat templates, about."""
TURN: Final = 5
"""Tokens that a chat template writes around a turn, about."""
BEFORE_TEXT: Final = 3
"""Those of them before the turn's text."""
SAMPLE: Final = 300
"""Rows of each source that are sampled before the data stage."""
EXAMPLES: Final = 3000
CHARACTERS: Final = 500_000
"""Characters of all sampled rows, about."""
LARGEST_TOKENIZER: Final = 64 << 20
"""Bytes of a tokenizer.json that a plan reads; a vocabulary of 256,000 tokens takes half of that."""


Lengths = tuple[tuple[int, int], ...]
"""(tokens, number of rows with so many), shortest first."""


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
    """Return the expected length to which `together` random rows are padded; 0 without rows."""
    rows, expected, below, seen = rows_in(lengths), 0.0, 0.0, 0
    for tokens, count in lengths:
        seen += count
        # Probability that none of the drawn rows is longer.
        share = (seen / rows) ** together
        expected += tokens * (share - below)
        below = share
    return expected


class RowSample(Value):
    """Sampled rows, by their tokens before anything is cut or dropped."""

    train: Lengths = ()
    validation: Lengths = ()
    shared: int = 0
    """Tokens at the start of all rows."""
    from_characters: bool = True

    @property
    def rows(self) -> int:
        return rows_in(self.train)


def sampled_sources(recipe: Recipe, tokenizer: Path | None) -> RowSample:
    rows = [
        row
        for source in recipe.data.sources
        for row in _within(row_text(recipe.task, filled) for filled in _filled(source, recipe))
    ]
    return _sample(recipe.task, rows, rows, tokenizer)


def _sample(
    task: Task, train: Sequence[RowText], validation: Sequence[RowText], path: Path | None
) -> RowSample:
    if not train:
        return RowSample()
    tokenizer = None if path is None else _tokenizer(path, path.stat().st_mtime_ns)
    count = _counter(tokenizer, english=is_english(row.asked for row in train))
    prompt = 0.0
    if task.spec.has_turns:
        prompted = _counter(tokenizer, english=is_english([f"{task.system} {task.instruction}"]))
        prompt = prompted(task.system) + prompted(question(task, ""))

    def tokens(row: RowText) -> int:
        own = count(row.text)
        if not task.spec.has_turns:
            return math.ceil(own) + 1  # the end of the text
        adds_system = bool(task.system) and not row.has_system
        turns = TURN * (row.turns + adds_system)
        opening = 0 if adds_system or row.has_system else OPENING
        return opening + turns + math.ceil(own + prompt)

    def lengths(rows: Sequence[RowText]) -> Lengths:
        return lengths_of(Counter(map(tokens, rows)))

    trained = lengths(train)
    shared = 0.0
    # Documents share no start, nor do rows with system messages of their own.
    if task.spec.has_turns and not any(row.has_system for row in train):
        shared = (TURN if task.system else OPENING) + BEFORE_TEXT + prompt
    return RowSample(
        train=trained,
        validation=trained if validation is train else lengths(validation),
        shared=math.floor(shared),
        from_characters=tokenizer is None,
    )


def _counter(tokenizer: Any, *, english: bool) -> Callable[[str], float]:
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
    # `recipe plan` must start without pyarrow.
    if format_of(ref.path.name, source.format) in (None, "parquet"):
        return
    from engine.data.reading.readers import read_rows  # readers of every format

    fill = None
    # `recipe data` reports faults of the data.
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
    """Return the tokenizer of a file, None if it cannot be read, which a run reports; `changed` is for the cache."""
    del changed
    if path.stat().st_size > LARGEST_TOKENIZER:
        return None
    try:
        with library_errors("X601", "the tokenizer cannot be read", hint=""):
            from tokenizers import Tokenizer  # an extra

            require_vocabulary(path.parent)
            tokenizer = Tokenizer.from_file(str(path))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            return tokenizer
    except StageError:
        return None


Sampler = Callable[[], RowSample]
"""Function that returns the tokens of some rows, which are independent of the method; it reads them once."""


class Workload(Value):
    train_rows: int | None
    """None for a fraction of uncounted rows."""
    validation_rows: int | None
    train: Lengths
    """A sample unless `exact`; empty if lengths are unknown."""
    validation: Lengths
    exact: bool
    source: str
    shared: int = 0
    learned: float = 0.0
    """Tokens of a training row that are learned from; 0 if unknown."""
    at_most: bool = False
    """Lengths are unknown: every row is as long as `max_length` allows."""

    @property
    def longest(self) -> int:
        return max((tokens for tokens, _ in (*self.train, *self.validation)), default=0)

    @property
    def mean(self) -> float:
        return mean(self.train)

    @property
    def train_tokens(self) -> int | None:
        return None if self.train_rows is None else round(self.train_rows * self.mean)


def known_rows(
    recipe: Recipe,
    store: Store,
    data: Artifact | None,
    base_model: Mapping[str, Any],
    sample: Sampler | None = None,
) -> TrainedRows | None:
    """Return the number of trained rows as far as it is known; None for a fraction of uncounted rows.

    If only the tokenizer can count them, the share of trained rows in a sample gives an estimate.
    """
    sample = sample or sampler(recipe, store, data, base_model)
    rows = trained_rows(recipe, store, data, base_model)
    changes_with_length = not recipe.task.spec.has_turns or recipe.data.checks.truncation == "drop"
    if rows is None or rows.counted or rows.is_measured or not changes_with_length:
        return rows
    if not sample().rows:
        return rows

    def about(count: int, lengths: Lengths) -> int:
        sampled, trained = rows_in(lengths), rows_in(trained_lengths(recipe, lengths))
        return round(count * trained / sampled) if sampled else count

    return replace(
        rows,
        train=about(rows.train - rows.replayed, sample().train) + rows.replayed,
        validation=about(rows.validation, sample().validation),
        estimated=True,
    )


def sampled_rows(
    recipe: Recipe, store: Store, data: Artifact | None, base_model: Mapping[str, Any]
) -> RowSample:
    tokenizer = tokenizer_file(recipe.base_model, store, base_model.get("sha256"))
    if data is None:
        return sampled_sources(recipe, tokenizer)
    # The first rows of the splits of the data stage, which are in random order.
    train, validation = (
        list(_within(row_text(recipe.task, row) for row in itertools.islice(examples, EXAMPLES)))
        for examples in (
            iter_examples(data.file(f"{split}.jsonl")) for split in ("train", "validation")
        )
    )
    return _sample(recipe.task, train, validation, tokenizer)


def sampler(
    recipe: Recipe, store: Store, data: Artifact | None, base_model: Mapping[str, Any]
) -> Sampler:
    """Return a function that samples the rows once for all settings of a recipe."""
    return cache(partial(sampled_rows, recipe, store, data, base_model))


def workload_of(
    recipe: Recipe,
    store: Store,
    *,
    data: Artifact | None,
    base_model: Mapping[str, Any],
    sample: Sampler | None = None,
) -> Workload:
    if data is not None and not lacks_replay(recipe, data):
        rendered = store.get(rendered_key(recipe, data.key, base_model).digest)
        if counted := counted_rows(rendered) if rendered else None:
            return counted
    sample = sample or sampler(recipe, store, data, base_model)
    sampled, limit = sample(), recipe.method.max_length
    rows = known_rows(recipe, store, data, base_model, sample)
    known = f"rows are counted by {counted_by(recipe)}"
    if rows is not None:
        known = f"{rows.given} training rows{rows.changes and f' before {rows.changes}'}"
    if sampled.rows:
        how = f"{sampled.rows} rows that the base model's tokenizer read"
        if sampled.from_characters:
            how = f"the characters of {sampled.rows} rows, by their scripts"
        known += f"; their tokens are an estimate from {how} (`--probe` or a run counts all)"
        train = trained_lengths(recipe, sampled.train)
        validation = trained_lengths(recipe, sampled.validation)
    else:
        known += f"; every row is taken as long as max_length allows, {limit} tokens"
        train = validation = ((limit, 1),)
    return Workload(
        train_rows=None if rows is None else rows.train,
        validation_rows=None if rows is None else rows.validation,
        train=train,
        validation=validation,
        exact=False,
        shared=sampled.shared,
        source=known,
        at_most=not sampled.rows,
    )


def counted_rows(rendered: Artifact) -> Workload | None:
    """Return the counts of the tokenizer; None for rows of an older version, which stored no lengths."""
    facts = read_json(rendered.file(FACTS))
    train, validation = facts["train"], facts["validation"]
    if not train.get("lengths"):
        return None
    rows = train["rows"]
    dropped = train.get("left_out", len(train["dropped"])) + train.get("left_out_marked", 0)
    note = f" ({dropped} left out)" if dropped else ""
    return Workload(
        train_rows=rows,
        validation_rows=validation["rows"],
        train=tuple(map(tuple, train["lengths"])),
        validation=tuple(map(tuple, validation.get("lengths", ()))),
        exact=True,
        shared=train.get("shared_tokens", 0),
        learned=train["supervised_tokens"] / rows if rows else 0.0,
        source=f"{rows} training rows{note} of {train['tokens']:,} tokens, counted by the base model's tokenizer; "
        f"the longest has {train['longest']}",
    )


def counted_by(recipe: Recipe) -> str:
    maker = recipe.rows_added_by
    return f"the stage `{maker}`" if maker else "`recipe data`"


def trained_lengths(recipe: Recipe, lengths: Lengths) -> Lengths:
    """Return the lengths of rows as they are trained: in blocks, packed, without the longest, or cut."""
    limit = recipe.method.max_length
    if recipe.method.packing:
        whole, rest = divmod(sum(tokens * rows for tokens, rows in lengths), limit)
        return lengths_of(Counter({limit: whole, rest: 1 if rest else 0}))
    if not recipe.task.spec.has_turns:
        return in_blocks(lengths, limit)
    if recipe.data.checks.truncation == "drop":
        return tuple((tokens, rows) for tokens, rows in lengths if tokens <= limit)
    counted: Counter[int] = Counter()
    for tokens, rows in lengths:
        counted[min(tokens, limit)] += rows
    return lengths_of(counted)
