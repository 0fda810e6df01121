"""What a change of one key does to the evidence: as the schema says, or as a few keys say here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.estimate.run import BITS
from engine.evidence.review import Finding
from engine.recipe.metrics import LIKELIHOODS
from engine.recipe.model import Export, Json, Recipe
from engine.recipe.references import GENERAL_TEXT
from engine.recipe.text.compose import dotted
from engine.recipe.validation.schema import ORDER, Weakening, Weaker, weakenings
from engine.review.compare import (
    ChangedKey,
    Versions,
    cropped,
    finding,
    finding_of,
    is_smaller,
    rows_of,
)
from engine.review.flatten import OVERRIDES
from engine.review.holdout import decides

PERPLEXITY: Final = "perplexity"
AGREEMENT: Final = "data.synthesize.keep.agreement."
REVIEW: Final = "data.synthesize.review"
RELABEL: Final = "data.label.relabel."
TEXT: Final = dotted(GENERAL_TEXT)
_START: Final = ("base_model.hub", "base_model.path", "base_model.package", "base_model.file")
_OF_THE_MACHINE: Final = frozenset(
    {"file_megabytes", "tokens_per_second", "first_token_milliseconds", "peak_memory_megabytes"}
)
"""Bounds that say nothing of how good the file is."""
_BOUNDS: Final = re.compile(
    r"acceptance\.(metrics|over_baselines|over_previous|over_without_synthetic|against_teacher|overfitting"
    r"|forgetting(?!\.probes\.)|drift|selective)\b"
)
_SECTIONS: Final[tuple[tuple[str, Callable[[Recipe], object]], ...]] = (
    ("export.after_quantization", lambda recipe: recipe.export.has_quantized_file),
    (rf"{TEXT}\.(?!bits_per_byte)", lambda recipe: recipe.acceptance.forgetting and recipe.acceptance.forgetting.text),
    (r"data\.synthesize\.(keep|review)|acceptance\.(over_without_)?synthetic\.", lambda recipe: recipe.data.synthesize),
)  # fmt: skip
"""Keys that speak of something that both versions must have, since another finding says that it is gone."""


def of_keys(versions: Versions) -> Iterator[Finding]:
    """Yield what each key that differs does to the evidence, files and rows left aside."""
    sides = (versions.old.recipe, versions.new.recipe)
    for one in versions.differing:
        if any(re.match(form, one.form) and not all(map(has, sides)) for form, has in _SECTIONS):
            continue
        # One more baseline is one more to beat, as W401 says.
        is_new = ".".join(one.path.split(".")[:2]) not in versions.before
        value = one.path.removeprefix(RELABEL)
        is_own = value != one.path and all(it in (None, value) for it in (one.before, one.after))
        is_skipped = is_own or (is_new and one.form.startswith("baselines[]."))
        known = weakenings().get(one.form, Weakening())
        weaker = weakens(known, one.before, one.after)
        if not (weaker is None or is_skipped or decides(one, versions)):
            code = known.gone if known.gone and None in (one.before, one.after) else known.code
            yield finding_of(one, code, weaker=weaker)
        yield from _of_the_gate(one, versions)
        yield from _of_the_task(one, versions)
    if any(map(_BOUNDS.match, versions.before)) and not any(map(_BOUNDS.match, versions.after)):
        yield finding("W103", "acceptance", "nothing must hold any more: every model passes")
    old, new = versions.old.recipe.data.synthesize, versions.new.recipe.data.synthesize
    agreed = [one for one in versions.differing if one.form.startswith(AGREEMENT)]
    if old is None or new is None or not agreed:
        return
    before, after = (
        it.agreement.min / it.agreement.votes if it.agreement.votes else 0.0 for it in (old, new)
    )
    if before != after:
        yield finding_of(agreed[0], "W212", weaker=after < before)
    elif any(one.form.startswith(f"{AGREEMENT}judge") for one in agreed):
        yield finding_of(agreed[0], "W212", "another judge")


def weakens(key: Weakening, before: Json, after: Json) -> bool | None:
    """Return whether a change of a key weakens the evidence; None for no effect, or where a function says it."""
    match key.weaker:
        case Weaker.CHANGED:
            return True
        case Weaker.OFF | Weaker.ON:
            # of a section that one of the versions does not have, nothing was turned off
            is_new = key.weaker is Weaker.OFF and None in (before, after)
            return None if is_new else after is (key.weaker is Weaker.ON)
        case Weaker.RELAXED:
            return ORDER.index(str(after)) > ORDER.index(str(before))
        case Weaker.LOWER | Weaker.HIGHER:
            has_bounds = isinstance(before, int | float), isinstance(after, int | float)
            is_lower = key.weaker is Weaker.LOWER
            # Without a bound everything passes.
            return not has_bounds[1] or (has_bounds[0] and (after < before) is is_lower)  # type: ignore[operator]
        case Weaker.FEWER:
            return rows_of(after) < rows_of(before)
        case _:
            return None


def _of_the_gate(one: ChangedKey, versions: Versions) -> Iterator[Finding]:
    """How bounds are decided, which rows choose the model, what quantization may lose, past the recipe language."""
    old, new = versions.old.recipe, versions.new.recipe
    match one.path:
        case "acceptance.decide_on":
            # A value without its interval passes by luck.
            yield finding_of(one, "W105", weaker=one.after == "point")
        case "name" if new.acceptance.over_previous:
            says = (
                "the last accepted model is found by the old name, so `over_previous` has no rival"
            )
            yield finding_of(one, "W109", says)
        case "splits.validation":
            # Fewer rows choose the checkpoint and show overfitting.
            smaller = is_smaller(old.splits.validation, new.splits.validation)
            if smaller is not None:
                yield finding_of(one, "W204", weaker=smaller)
        case "method.early_stopping.patience" | "method.keep" | "sweep":
            # A model that the validation rows chose looks better on them than it is.
            chooses = one.after == "best" if one.path == "method.keep" else one.before is None
            gaps = (old.acceptance.max_overfitting_gap, new.acceptance.max_overfitting_gap)
            if chooses and None not in gaps:
                says = "the rows that `acceptance.overfitting` compares with now choose the model"
                yield finding_of(one, "W209", says)
        # Other seeds in the place of old ones say as much; fewer show luck.
        case "method.seeds" if more := len(new.method.seeds) - len(old.method.seeds):
            yield finding_of(one, "W210", weaker=more < 0)
        case "export.formats" if not old.export.has_quantized_file and _is_unbounded(new.export):
            says = "a quantized file is exported, and no bound says how much it may lose"
            yield finding_of(one, "W118", says)
        case "export.quantization" if old.export.has_quantized_file and _is_unbounded(new.export):
            if _bits(new.export) < _bits(old.export):
                says = "fewer bits, and no bound says how much the file may lose"
                yield finding_of(one, "W118", says)
        case _ if one.form == OVERRIDES:
            says = "past the recipe language" if one.before is None else ""
            is_gone = one.after is None
            says = "the recipe decides again" if is_gone else says
            yield finding_of(one, "W601", says, weaker=not is_gone)


def _is_unbounded(export: Export) -> bool:
    named = {one.metric for one in export.max_drops} | {one.metric for one in export.thresholds}
    return export.has_quantized_file and not named - _OF_THE_MACHINE


def _bits(export: Export) -> float:
    """Return the fewest bits a weight; types of equal digits differ: Q4_0 keeps less than Q4_K_M."""
    names = {name: re.search(r"\d+", name) for name in export.quantizations}
    found = (BITS.get(name, float(digits[0]) if digits else 0.0) for name, digits in names.items())
    return min(found, default=0)


def _of_the_task(one: ChangedKey, versions: Versions) -> Iterator[Finding]:
    """What counts as an answer, and as a right one; other tokens, lengths or ratings under a bound on them."""
    old, new = versions.old.recipe, versions.new.recipe
    match one.path:
        case "task.output" if any(it.metric == "valid_output" for it in new.acceptance.metrics):
            # Bare text is valid more easily than JSON.
            says = "`valid_output` is bounded, and counts another form"
            yield finding_of(one, "W702", says, weaker=one.after == "text")
        case "data.answer.references":
            # With more right answers the same answers are right more often.
            before, after = (it if isinstance(it, list) else [] for it in (one.before, one.after))
            weaker = not set(before) >= set(after)
            says = f"{'more' if weaker else 'fewer'} answers count as right"
            yield finding_of(one, "W702", says, weaker=weaker)
        case "task.labels" if gone := [it for it in old.task.labels if it not in new.task.labels]:
            # Its rows are no longer distinguished from the others.
            more = [it for it in new.task.labels if it not in old.task.labels]
            also = f"; new: {_listed(more)}" if more else ""
            yield finding_of(one, "W701", f"no longer a label: {_listed(gone)}{also}")
        case "task.schema" if one.before is not None and one.after is not None:
            if _asked(one.before) != _asked(one.after):
                yield finding_of(one, "W702", "other answers are valid by the schema")
        case "method.max_length" if new.task.spec.by_likelihood and _both_bound(
            versions, LIKELIHOODS
        ):
            says = "likelihood is bounded, and measured over texts of another length"
            yield finding_of(one, "W702", says)
        case "method.preference.loss":
            yield from _rated_otherwise(one, versions)
        # 0 stands for the longest answer of the training rows.
        case "task.max_new_tokens" if new.baselines and rows_of(one.after) < rows_of(one.before):
            yield finding_of(one, "W402", "answers of the baselines are cut off earlier")
        # Bytes are the same with every tokenizer.
        case _ if _both_bound(versions, (PERPLEXITY,)) and one == next(
            filter(None, map(versions.find, _START)), None
        ):
            says = "perplexity is bounded, and another tokenizer may count other tokens"
            yield finding_of(one, "W702", says)
        case "data.synthesize.review":
            says = "another file" if one.after else ""
            yield finding_of(one, "W214", says, weaker=one.after is None)


def _listed(words: Sequence[str]) -> str:
    return cropped(", ".join(f"`{word}`" for word in words))


def _rated_otherwise(one: ChangedKey, versions: Versions) -> Iterator[Finding]:
    old, new = versions.old.recipe.method.preference, versions.new.recipe.method.preference
    names = [spec.name for spec in versions.new.recipe.task.spec.metrics]
    is_other = old is not None and new is not None and old.has_reference is not new.has_reference
    if is_other and _both_bound(versions, names):
        says = "preferences are bounded, and this loss rates answers in another way"
        yield finding_of(one, "W702", says)


def _both_bound(versions: Versions, metrics: Sequence[str]) -> bool:
    def bounds(recipe: Recipe) -> bool:
        found = recipe.acceptance
        named = {one.metric for one in found.metrics} | {one.metric for one in found.over_baselines}
        named |= {one.metric for one in found.over_previous}
        return not named.isdisjoint(metrics)

    return bounds(versions.old.recipe) and bounds(versions.new.recipe)


_WORDS: Final = frozenset({"title", "description", "examples", "$comment", "default", "$schema"})


def _asked(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    return {
        word: {name: _asked(one) for name, one in value.items()}
        if word in ("properties", "$defs")
        else _asked(value)
        for word, value in schema.items()
        if word not in _WORDS
    }
