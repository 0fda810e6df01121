"""Keys that say nothing of a gate, and change what its numbers mean or whom they are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from engine.evidence.review import Finding
from engine.recipe.metrics import LIKELIHOODS
from engine.recipe.model import Recipe
from engine.review.compare import Versions, finding_of

PERPLEXITY: Final = "perplexity"
_OF_THE_MODEL: Final = (
    "base_model.hub",
    "base_model.path",
    "base_model.package",
    "base_model.file",
)


def measured_otherwise(versions: Versions) -> Iterator[Finding]:
    """W402, W702: other tokens, lengths or ratings under a bound on them, and baselines whose answers are cut off."""
    new = versions.new.recipe
    if _both_bound(versions, LIKELIHOODS):
        length = versions.find("method.max_length")
        if length and new.task.spec.by_likelihood:
            says = "likelihood is bounded, and measured over texts of another length"
            yield finding_of(length, "W702", says)
        model = next(filter(None, map(versions.find, _OF_THE_MODEL)), None)
        # Bytes are the same with every tokenizer.
        if model and _both_bound(versions, (PERPLEXITY,)):
            says = "perplexity is bounded, and another tokenizer may count other tokens"
            yield finding_of(model, "W702", says)
    yield from _rated_otherwise(versions)
    answer = versions.find("task.max_new_tokens")
    if answer and new.baselines and _is_shorter(answer.before, answer.after):
        yield finding_of(answer, "W402", "answers of the baselines are cut off earlier")


def _rated_otherwise(versions: Versions) -> Iterator[Finding]:
    """W702: some losses rate an answer beside the untouched model, others by its likelihood a token."""
    old, new = versions.old.recipe.method.preference, versions.new.recipe.method.preference
    loss = versions.find("method.preference.loss")
    if loss is None or old is None or new is None or old.has_reference is new.has_reference:
        return
    if _both_bound(versions, [spec.name for spec in versions.new.recipe.task.spec.metrics]):
        says = "preferences are bounded, and this loss rates answers in another way"
        yield finding_of(loss, "W702", says)


def _both_bound(versions: Versions, metrics: Sequence[str]) -> bool:
    """Return whether both versions bound one of the metrics, if not the same one."""
    return all(_bounds(side.recipe, metrics) for side in (versions.old, versions.new))


def _bounds(recipe: Recipe, metrics: Sequence[str]) -> bool:
    acceptance = recipe.acceptance
    bounded = [one.metric for one in acceptance.metrics]
    bounded += [one.metric for one in acceptance.over_baselines]
    bounded += [one.metric for one in acceptance.over_previous]
    return not set(bounded).isdisjoint(metrics)


def _is_shorter(before: object, after: object) -> bool:
    """Return whether fewer tokens are allowed; 0 stands for the longest answer of the training rows."""
    sizes = [value or float("inf") for value in (before, after) if isinstance(value, int)]
    return len(sizes) == 2 and sizes[1] < sizes[0]
