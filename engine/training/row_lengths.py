"""What became of rows for their length, by split, from what the rendering counted. Light."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.artifacts.results import read_json, trained_data
from engine.evidence import SplitLengths
from engine.recipe.model import Recipe
from engine.runtime.rendering.key import (
    FACTS,
    HOLDOUT,
    HOLDOUT_FACTS,
    holdout_payload,
    rendered_key,
)
from engine.runtime.rendering.windows import longer_than
from engine.store import Artifact, Store, product_key


def row_lengths(
    recipe: Recipe,
    store: Store,
    artifacts: Mapping[str, Artifact],
    base_model: Mapping[str, Any],
) -> tuple[SplitLengths, ...]:
    """Return what the store holds of the rows that this recipe trains and judges; nothing before they are rendered."""
    measured = _holdout(recipe, store, artifacts, base_model)
    window = measured.get("window")
    found = list(_trained(recipe, store, artifacts, base_model, window=window))
    if lengths := measured.get("lengths"):
        rows = sum(count for _, count in lengths)
        found.append(
            SplitLengths(
                split="holdout",
                given=rows,
                used=rows,
                left_out=0,
                left_out_marked=0,
                cut=0,
                longest=max(tokens for tokens, _ in lengths),
                max_length=recipe.method.max_length,
                over_max_length=longer_than(lengths, recipe.method.max_length),
                window=window,
                over_window=longer_than(lengths, window),
            )
        )
    return tuple(found)


def _trained(
    recipe: Recipe,
    store: Store,
    artifacts: Mapping[str, Artifact],
    base_model: Mapping[str, Any],
    *,
    window: int | None,
) -> Iterator[SplitLengths]:
    data = trained_data(artifacts)
    rendered = data and store.get(rendered_key(recipe, data.key, base_model).digest)
    for split, facts in read_json(rendered, FACTS).items() if rendered else ():
        # Earlier versions kept the places of these rows, and no counts.
        left_out, cut = len(facts["dropped"]), len(facts["truncated"])
        yield SplitLengths(
            split=split,
            given=facts.get("given", facts["rows"] + left_out),
            used=facts["rows"],
            left_out=facts.get("left_out", left_out),
            left_out_marked=facts.get("left_out_marked", 0),
            cut=facts.get("cut", cut),
            longest=facts["longest"],
            max_length=recipe.method.max_length,
            over_max_length=0,
            window=window,
            over_window=longer_than(facts.get("lengths", ()), window),
        )


def _holdout(
    recipe: Recipe,
    store: Store,
    artifacts: Mapping[str, Artifact],
    base_model: Mapping[str, Any],
) -> Mapping[str, Any]:
    holdout = artifacts.get("holdout")
    if holdout is None:
        return {}
    payload = holdout_payload(recipe.task, base_model=base_model, holdout=holdout.key)
    found = store.get(product_key(HOLDOUT, payload).digest)
    return read_json(found, HOLDOUT_FACTS) if found else {}
