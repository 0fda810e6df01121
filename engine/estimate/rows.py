"""The number and length of rows before they are trained: counted by the tokenizer, or estimated."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from engine.estimate.base_model import tokenizer_file
from engine.estimate.row_tokens import (
    Lengths,
    RowSample,
    in_blocks,
    lengths_of,
    mean,
    rows_in,
    sampled_examples,
    sampled_sources,
)
from engine.files.reading import read_json
from engine.recipe.model import Recipe
from engine.runtime.rendering.key import FACTS, rendered_key
from engine.store import Artifact, Store
from engine.training.trained_rows import TrainedRows, lacks_replay, trained_rows
from engine.values import Value, replace

Sampler = Callable[[], RowSample]
"""Gives the tokens of some rows, whatever the method is; reads them when it is first called."""


class Workload(Value):
    train_rows: int | None
    """None while only a fraction of uncounted rows is known."""
    validation_rows: int | None
    train: Lengths
    """A sample where `exact` is not set; empty where nothing is known of lengths."""
    validation: Lengths
    exact: bool
    source: str
    shared: int = 0
    learned: float = 0.0
    """Tokens of a training row that are learned from; 0 where that is not known."""
    at_most: bool = False
    """Nothing is known of lengths: every row is taken as long as `max_length` allows."""

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
    """Return how many rows are trained, by the best that is known; None while they are a fraction of uncounted rows.

    Where only the tokenizer can count them and has not, the share of a sample that is trained says about how many.
    """
    sample = sample or sampler(recipe, store, data, base_model)
    rows = trained_rows(recipe, store, data, base_model)
    changes_with_length = not recipe.task.spec.has_turns or recipe.data.checks.truncation == "drop"
    if rows is None or rows.counted or rows.is_measured or not changes_with_length:
        return rows
    if not sample().rows:
        return rows

    def about(count: int, lengths: Lengths) -> int:
        given, trained = rows_in(lengths), rows_in(trained_lengths(recipe, lengths))
        return round(count * trained / given) if given else count

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
    return sampled_examples(recipe, data, tokenizer)


def sampler(
    recipe: Recipe, store: Store, data: Artifact | None, base_model: Mapping[str, Any]
) -> Sampler:
    """Return what samples the rows once, for all settings that a recipe trains them with."""
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
    """Return what the tokenizer counted; None for rows that were rendered before lengths were kept."""
    facts = read_json(rendered.file(FACTS))
    lengths = {
        split: tuple((tokens, rows) for tokens, rows in facts[split].get("lengths", ()))
        for split in ("train", "validation")
    }
    if not lengths["train"]:
        return None
    rows, tokens = facts["train"]["rows"], facts["train"]["tokens"]
    dropped = len(facts["train"]["dropped"])
    dropped = facts["train"].get("left_out", dropped) + facts["train"].get("left_out_marked", 0)
    note = f" ({dropped} left out)" if dropped else ""
    return Workload(
        train_rows=rows,
        validation_rows=facts["validation"]["rows"],
        train=lengths["train"],
        validation=lengths["validation"],
        exact=True,
        shared=facts["train"].get("shared_tokens", 0),
        learned=facts["train"]["supervised_tokens"] / rows if rows else 0.0,
        source=f"{rows} training rows{note} of {tokens:,} tokens, counted by the"
        " base model's tokenizer; "
        f"the longest has {facts['train']['longest']}",
    )


def counted_by(recipe: Recipe) -> str:
    maker = recipe.rows_added_by
    return f"the stage `{maker}`" if maker else "`recipe data`"


def trained_lengths(recipe: Recipe, lengths: Lengths) -> Lengths:
    """Return the lengths of rows as they are trained: in blocks, packed, without the longest, or cut."""
    limit = recipe.method.max_length
    if recipe.method.packing:  # full ones, but for the last
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
