"""Keys that say nothing of a gate, and change what its numbers mean or whom they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.evidence.review import Finding
from engine.recipe.metrics import LIKELIHOODS
from engine.recipe.model import Recipe
from engine.review.compare import Versions, finding_of

_OF_THE_MODEL: Final = (
    "base_model.hub",
    "base_model.path",
    "base_model.package",
    "base_model.file",
)


def measured_otherwise(versions: Versions) -> Iterator[Finding]:
    """W402, W702: other tokens or lengths under a bound on likelihood, and baselines whose answers are cut off."""
    old, new = versions.old.recipe, versions.new.recipe
    if _bounds_likelihood(old) and _bounds_likelihood(new):
        length = versions.find("method.max_length")
        if length and new.task.spec.by_likelihood:
            says = "likelihood is bounded, and measured over texts of another length"
            yield finding_of(length, "W702", says)
        if model := next(filter(None, map(versions.find, _OF_THE_MODEL)), None):
            says = "likelihood is bounded, and another tokenizer may count other tokens"
            yield finding_of(model, "W702", says)
    answer = versions.find("task.max_new_tokens")
    if answer and new.baselines and _is_shorter(answer.before, answer.after):
        yield finding_of(answer, "W402", "answers of the baselines are cut off earlier")


def _bounds_likelihood(recipe: Recipe) -> bool:
    acceptance = recipe.acceptance
    bounded = [one.metric for one in acceptance.metrics]
    bounded += [one.metric for one in acceptance.over_baselines]
    bounded += [one.metric for one in acceptance.over_previous]
    return not set(bounded).isdisjoint(LIKELIHOODS)


def _is_shorter(before: object, after: object) -> bool:
    """Return whether fewer tokens are allowed; 0 stands for the longest answer of the training rows."""
    sizes = [value or float("inf") for value in (before, after) if isinstance(value, int)]
    return len(sizes) == 2 and sizes[1] < sizes[0]
