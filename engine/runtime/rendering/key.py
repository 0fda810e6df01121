"""The inputs of rendered rows, light enough for a plan: needs neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.recipe.model import Recipe, Task
from engine.store import StageKey, product_key
from engine.values import Value, to_json

REVISION = 3
"""Bumped when the same examples would now give other rows."""
PRODUCT = "rendered"
FACTS = "rendering.json"
REPLAY_FILE = "replay.jsonl"
"""A file beside the rows, where text is replayed: `id`, `before`, `text` and `tokens` (`engine.inference.replay`)."""
HOLDOUT = "holdout_lengths"
HOLDOUT_FACTS = "lengths.json"


class LengthLimits(Value):
    """Treatment of rows that do not fit."""

    max_length: int
    """Tokens, prompt and answer together."""
    truncation: str
    """`fail`, `drop`, `warn` (cut the text and say so) or `off` (cut it)."""
    template_tokens: str = "fail"
    """`fail`, `drop`, `warn` or `off`: texts that hold tokens of the chat template."""
    packing: bool = False
    """Documents stand beside each other in rows of at most `max_length` tokens."""
    loss: str = ""
    """Loss of a training on preferences, whose trainers tokenise the text; empty for other trainings."""
    stride: int = 0
    """Tokens by which a window of `max_length` moves over documents; 0 for blocks with nothing before them."""

    @classmethod
    def of(cls, recipe: Recipe) -> LengthLimits:
        checks, preference = recipe.data.checks, recipe.method.preference
        return cls(
            max_length=recipe.method.max_length,
            truncation=checks.truncation,
            template_tokens=checks.template_tokens,
            packing=recipe.method.packing,
            loss=preference.loss if preference else "",
        )

    def payload(self) -> dict[str, Any]:
        """Return them as they stand in keys: without what is not set, as in earlier versions."""
        may_be_unset = ("packing", "loss", "stride")
        return {key: one for key, one in to_json(self).items() if one or key not in may_be_unset}


def holdout_payload(task: Task, *, base_model: Mapping[str, Any], holdout: str) -> dict[str, Any]:
    """Return the payload of the key of the holdout's lengths."""
    return {
        "revision": 1,
        "task": written_task(task),
        "base_model": dict(base_model),
        "holdout": holdout,
    }


def rendered_payload(
    task: Task, limits: LengthLimits, *, base_model: Mapping[str, Any], data: str
) -> dict[str, Any]:
    return {
        "revision": REVISION,
        "task": written_task(task),
        **limits.payload(),
        "base_model": dict(base_model),
        "data": data,
    }


def written_task(task: Task) -> dict[str, Any]:
    """Return what of the task stands in a row; how its columns are read is the data's business."""
    return {
        "kind": task.kind,
        "instruction": task.instruction,
        "system": task.system,
        "labels": list(task.labels),
        "schema": task.schema,
        "output": task.output,
    }


def rendered_key(recipe: Recipe, data: str, base_model: Mapping[str, Any]) -> StageKey:
    """Return the key of the rows as text; `data` is the data stage's own."""
    limits = LengthLimits.of(recipe)
    payload = rendered_payload(recipe.task, limits, base_model=base_model, data=data)
    return product_key(PRODUCT, payload)


def counts_after_rendering(recipe: Recipe) -> bool:
    """Return whether only the tokenizer knows how many rows are trained: some are dropped, cut or replayed."""
    checks = recipe.data.checks
    if recipe.data.replay is not None:
        return True
    return not recipe.task.spec.has_turns or "drop" in (checks.truncation, checks.template_tokens)
