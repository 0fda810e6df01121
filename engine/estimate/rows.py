"""What is known of rows before they are trained, how many and how long: counted by the tokenizer, or estimated.

`known_rows` is the one answer to how many rows are trained, and in how many steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

from engine.estimate.base_model import tokenizer_file
from engine.estimate.row_tokens import RowSample, sampled_examples, sampled_sources
from engine.estimate.workload import (
    Lengths,
    Workload,
    capped,
    in_blocks,
    lengths_of,
    mean,
    packed,
    rows_in,
    without_longer,
)
from engine.files.reading import read_json
from engine.recipe.model import Recipe
from engine.runtime.rendering.key import FACTS, rendered_key
from engine.store import Artifact, Store
from engine.training.trained_rows import (
    TrainedRows,
    lacks_replay,
    replayed_texts,
    replayed_tokens,
    trained_rows,
)
from engine.values import replace

Sampler = Callable[[], RowSample]
"""Gives the tokens of some rows, whatever the method is; reads them when it is first called."""
_PARTS: Final = 1000
"""By which rows are counted where only their lengths beside each other matter."""


def known_rows(
    recipe: Recipe, store: Store, data: Artifact | None, base_model: Mapping[str, Any]
) -> TrainedRows | None:
    """Return how many rows are trained, by the best that is known; None while they are a fraction of uncounted rows.

    Where only the tokenizer can count them and has not, the share of a sample that is trained says about how many.
    """
    rows = trained_rows(recipe, store, data, base_model)
    if rows is None:
        return None
    sample = sampler(recipe, store, data, base_model)
    if _is_sampled(recipe, rows):
        rows = _scaled(recipe, rows, sample())
    if not lacks_replay(recipe, data):
        return rows
    return _with_texts(recipe, rows, sample, _replayed_lengths(recipe, store, base_model))


def changes_with_length(recipe: Recipe) -> bool:
    """Return whether the tokens of its rows decide how many of them are trained."""
    return not recipe.task.spec.has_turns or recipe.data.checks.truncation == "drop"


def _is_sampled(recipe: Recipe, rows: TrainedRows) -> bool:
    """Tell whether only a sample says how many of the rows are trained."""
    return not rows.counted and not rows.is_measured and changes_with_length(recipe)


def _scaled(recipe: Recipe, rows: TrainedRows, sample: RowSample) -> TrainedRows:
    """Return rows with the share of them that is trained, or the blocks that they make, as in a sample."""
    if not sample.rows:
        return rows

    def about(count: int, lengths: Lengths) -> int:
        given = rows_in(lengths)
        return round(count * rows_in(trained_lengths(recipe, lengths)) / given) if given else count

    return replace(
        rows,
        train=about(rows.train - rows.replayed, sample.train) + rows.replayed,
        validation=about(rows.validation, sample.validation),
        estimated=True,
    )


def _with_texts(
    recipe: Recipe, rows: TrainedRows, sample: Sampler, lengths: Lengths
) -> TrainedRows:
    """Return rows with about as many replayed texts as have their share of the learned tokens."""
    own, tokens = rows.train - rows.replayed, rows.replayed_tokens
    if not tokens and (not recipe.task.spec.has_turns or recipe.method.loss_on == "everything"):
        each = mean(trained_lengths(recipe, sample().train))
        tokens = replayed_tokens(recipe, own * each)
    # Before the tokens of answers are counted, nothing better is known than that texts are like rows.
    texts = replayed_texts(recipe, tokens, mean(lengths)) or rows.replayed
    return replace(rows, train=own + texts, replayed=texts)


def _replayed_lengths(recipe: Recipe, store: Store, base_model: Mapping[str, Any]) -> Lengths:
    """Return the lengths of some of the texts that are to be replayed, as they are trained.

    As long as a row may be where they are packed, where the base model writes them, and where none can be read.
    """
    replay, limit = recipe.data.replay, recipe.method.max_length
    longest = ((limit, 1),)
    if replay is None or replay.is_sampled or recipe.method.packing:
        return longest
    # Only with replay: it brings the checks of rows.
    from engine.data.unlabelled import read_without_answers, without_answers

    task = replace(without_answers(recipe.task), input=replay.input)
    data = read_without_answers(recipe.data, replay.sources)
    tokenizer = tokenizer_file(recipe.base_model, store, base_model.get("sha256"))
    found = sampled_sources(replace(recipe, task=task, data=data), tokenizer)
    return in_blocks(found.train, limit) or longest


def sampled_rows(
    recipe: Recipe, store: Store, data: Artifact | None, base_model: Mapping[str, Any]
) -> RowSample:
    """Return some rows by their tokens, whatever of the base model is at hand."""
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
    """Return what is known of the rows, from the best there is."""
    if data is not None and not lacks_replay(recipe, data):
        rendered = store.get(rendered_key(recipe, data.key, base_model).digest)
        if counted := counted_rows(rendered) if rendered else None:
            return counted
    sampled = sample() if sample else sampled_rows(recipe, store, data, base_model)
    rows = trained_rows(recipe, store, data, base_model)
    if rows is not None and _is_sampled(recipe, rows):
        rows = _scaled(recipe, rows, sampled)
    texts: Lengths = ()
    if rows is not None and lacks_replay(recipe, data):
        texts = _replayed_lengths(recipe, store, base_model)
        rows = _with_texts(recipe, rows, lambda: sampled, texts)
    return _estimated(recipe, sampled, rows, texts=texts)


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
    """Return what counts the rows that are trained: a model that adds some is asked after `recipe data`."""
    maker = recipe.rows_added_by
    return f"the stage `{maker}`" if maker else "`recipe data`"


def _estimated(
    recipe: Recipe, sample: RowSample, rows: TrainedRows | None, *, texts: Lengths
) -> Workload:
    """Return what is known of rows that are not counted; `texts` are the lengths of those that are replayed."""
    known = f"rows are counted by {counted_by(recipe)}"
    if rows is not None:
        known = f"{rows.given} training rows{_before(recipe, rows)}"
    limit = recipe.method.max_length
    if sample.rows:
        how = f"{sample.rows} rows that the base model's tokenizer read"
        if sample.from_characters:
            how = f"the characters of {sample.rows} rows, by their scripts"
        known += f"; their tokens are an estimate from {how} (`--probe` or a run counts all)"
        train = trained_lengths(recipe, sample.train)
        if rows is not None and texts and train and 0 < rows.replayed < rows.train:
            # As many rows and replayed texts as are trained.
            counted: Counter[int] = Counter()
            for part, many in ((train, rows.train - rows.replayed), (texts, rows.replayed)):
                for tokens, count in part:
                    counted[tokens] += round(_PARTS * count * many / rows_in(part))
            train = lengths_of(+counted)
        validation = trained_lengths(recipe, sample.validation)
    else:
        known += f"; every row is taken as long as max_length allows, {limit} tokens"
        train = validation = ((limit, 1),)
    return Workload(
        train_rows=None if rows is None else rows.train,
        validation_rows=None if rows is None else rows.validation,
        train=train,
        validation=validation,
        exact=False,
        shared=sample.shared,
        source=known,
        at_most=not sample.rows,
    )


def trained_lengths(recipe: Recipe, lengths: Lengths) -> Lengths:
    """Return the lengths of rows as they are trained: in blocks, packed, without the longest, or cut."""
    limit = recipe.method.max_length
    if recipe.method.packing:
        return packed(lengths, limit)
    if not recipe.task.spec.has_turns:
        return in_blocks(lengths, limit)
    if recipe.data.checks.truncation == "drop":
        return without_longer(lengths, limit)
    return capped(lengths, limit)


def _before(recipe: Recipe, rows: TrainedRows) -> str:
    """Say what will still change the number of rows."""
    checks, has_turns = recipe.data.checks, recipe.task.spec.has_turns
    if has_turns and checks.truncation == "drop":
        limit = recipe.method.max_length
        weighted = " and sources are weighted" if rows.is_unweighted else ""
        return f" before those of more than {limit} tokens are left out{weighted}"
    if has_turns and checks.template_tokens == "drop":
        return " before those with tokens of the chat template are left out"
    return f" before {rows.changes}" if rows.changes else ""
