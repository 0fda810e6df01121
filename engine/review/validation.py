"""Changes of validation rows, of how bounds are decided and measured, and of synthetic rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from engine.estimate.run import BITS
from engine.evidence.review import Finding
from engine.recipe.metrics import LIKELIHOODS
from engine.recipe.model import FROM_TRAIN, Export, Json, Recipe, ValidationSize
from engine.review.compare import ChangedKey, Versions, finding_of
from engine.review.flatten import OVERRIDES

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


AGREEMENT: Final = "data.synthesize.keep.agreement."
SHARE: Final = "data.synthesize.keep.max_share"
REVIEW: Final = ("data.synthesize.review", "acceptance.synthetic.")
GAIN: Final = "acceptance.over_without_synthetic."


def synthetic(versions: Versions) -> Iterator[Finding]:
    """W212, W213, W214, W101, W102: rows that nobody agreed on, more of them, and fewer people who looked.

    A recipe that asks for no rows any more, or did not before, has nothing to be compared in.
    """
    old, new = versions.old.recipe.data.synthesize, versions.new.recipe.data.synthesize
    if old is None or new is None:
        return
    for one in versions.differing:
        if one.form.startswith(GAIN):
            yield _gain(one)
        elif one.form.startswith(REVIEW):
            yield _review(one)
        elif one.form == SHARE:
            yield finding_of(one, "W213", weaker=new.max_share > old.max_share)
    agreed = [one for one in versions.differing if one.form.startswith(AGREEMENT)]
    before, after = (
        value.agreement.min / value.agreement.votes if value.agreement.votes else 0.0
        for value in (old, new)
    )
    is_by_another = any(one.form.startswith(f"{AGREEMENT}judge") for one in agreed)
    if agreed and (before != after or is_by_another):
        says = "" if before != after else "another judge"
        yield finding_of(agreed[0], "W212", says, weaker=after < before or before == after)


def _gain(one: ChangedKey) -> Finding:
    before, after = (
        float(value) if isinstance(value, int | float) else None
        for value in (one.before, one.after)
    )
    if after is None:
        return finding_of(one, "W102")
    return finding_of(one, "W101", weaker=before is not None and after < before)


def _review(one: ChangedKey) -> Finding:
    before, after = one.before, one.after
    if one.form == REVIEW[0]:
        return finding_of(one, "W214", "another file" if after else "", weaker=after is None)
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return finding_of(one, "W214", weaker=after is None)
    is_weaker = after < before if one.form.endswith("reviewed.min") else after > before
    return finding_of(one, "W214", weaker=is_weaker)


_OF_THE_MACHINE: Final = frozenset(
    {"file_megabytes", "tokens_per_second", "first_token_milliseconds", "peak_memory_megabytes"}
)
"""Bounds that say nothing of how good the file is."""


def judging(versions: Versions) -> Iterator[Finding]:
    """W105, W109, W204: how the bounds are decided, against whom, and on how many validation rows."""
    old, new = versions.old.recipe, versions.new.recipe
    # A value without its interval passes by luck.
    if decided := versions.find("acceptance.decide_on"):
        yield finding_of(decided, "W105", weaker=decided.after == "point")
    name = versions.find("name")
    if name and new.acceptance.over_previous:
        says = "the last accepted model is found by the old name, so `over_previous` has no rival"
        yield finding_of(name, "W109", says)
    # Fewer rows choose the checkpoint and show overfitting.
    rows = versions.find("splits.validation")
    smaller = is_smaller(old.splits.validation, new.splits.validation)
    if rows and smaller is not None:
        yield finding_of(rows, "W204", weaker=smaller)


def is_smaller(old: ValidationSize, new: ValidationSize) -> bool | None:
    """Return whether a size became smaller; None where two kinds of sizes cannot be compared."""
    if new == 0:
        return True
    if old == 0:
        return False
    if FROM_TRAIN in (old, new):
        return None
    if isinstance(old, str) or isinstance(new, str):
        return True if isinstance(old, str) and isinstance(new, int) else None
    # Rows and shares cannot be compared without the data.
    return new < old if type(old) is type(new) else None


def rows_of(limit: Json) -> float:
    """Return how many rows a limit leaves at most; none, or 0, leaves all."""
    return limit if isinstance(limit, int) and limit else float("inf")


def choice_of_the_model(versions: Versions) -> Iterator[Finding]:
    """W209, W210: a model that the validation rows chose looks better on them than it is; fewer seeds show luck."""
    old, new = versions.old.recipe, versions.new.recipe
    gaps = (old.acceptance.max_overfitting_gap, new.acceptance.max_overfitting_gap)
    says = "the rows that `acceptance.overfitting` compares with now choose the model"
    keys = ("method.early_stopping.patience", "method.keep", "sweep")
    for found in filter(None, map(versions.find, keys)):
        chooses = found.after == "best" if found.path == "method.keep" else found.before is None
        if chooses and None not in gaps:
            yield finding_of(found, "W209", says)
    # Other seeds in the place of old ones say as much.
    seeds, more = versions.find("method.seeds"), len(new.method.seeds) - len(old.method.seeds)
    if seeds and more:
        yield finding_of(seeds, "W210", weaker=more < 0)


def uncovered(versions: Versions) -> Iterator[Finding]:
    """W118: nothing bounds what quantization may lose of a model that is better than `acceptance` asks."""
    old, new = versions.old.recipe.export, versions.new.recipe.export
    if covers(new) or not new.has_quantized_file:
        return
    formats, quantization = versions.find("export.formats"), versions.find("export.quantization")
    if formats and not old.has_quantized_file:
        says = "a quantized file is exported, and no bound says how much it may lose"
        yield finding_of(formats, "W118", says)
    if quantization and old.has_quantized_file and bits(new) < bits(old):
        says = "fewer bits, and no bound says how much the file may lose"
        yield finding_of(quantization, "W118", says)


def covers(export: Export) -> bool:
    """Return whether a bound of its own says how good the quantized file must be."""
    named = {one.metric for one in export.max_drops} | {one.metric for one in export.thresholds}
    return bool(named - _OF_THE_MACHINE)


def bits(export: Export) -> float:
    """Return the fewest bits a weight that the file that leaves may have."""
    return min(map(_bits_of, export.quantizations), default=0)


def _bits_of(name: str) -> float:
    """Types of equal digits differ: Q4_0 keeps less than Q4_K_M. Of an unknown one, only its digits are known."""
    digits = re.search(r"\d+", name)
    return BITS.get(name, float(digits[0]) if digits else 0.0)


def overrides(versions: Versions) -> Iterator[Finding]:
    """W601: settings passed to the backend past the recipe language."""
    for one in versions.differing:
        if one.form == OVERRIDES and one.after is None:
            yield finding_of(one, "W601", "the recipe decides again", weaker=False)
        elif one.form == OVERRIDES:
            yield finding_of(one, "W601", "past the recipe language" if one.before is None else "")
