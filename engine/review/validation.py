"""What stands beside the bounds: how they are decided, the rival, and the validation rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engine.evidence.review import Effect, Finding
from engine.recipe.model import Export, Size
from engine.review.compare import Versions, finding_of
from engine.review.flatten import OVERRIDES

_OF_THE_MACHINE: Final = frozenset(
    {"file_megabytes", "tokens_per_second", "first_token_milliseconds", "peak_memory_megabytes"}
)
"""Bounds that say nothing of how good the file is."""


def decide_on(versions: Versions) -> Iterator[Finding]:
    """W105: a value without its interval passes by luck."""
    found = versions.find("acceptance.decide_on")
    if found is not None:
        effect = Effect.WEAKER if found.after == "point" else Effect.STRONGER
        yield finding_of(found, "W105", effect)


def name_of_the_rival(versions: Versions) -> Iterator[Finding]:
    """W109: the last accepted model is found by the recipe's name."""
    found = versions.find("name")
    if found is not None and versions.new.recipe.acceptance.over_previous:
        says = "the last accepted model is found by the old name, so `over_previous` has no rival"
        yield finding_of(found, "W109", Effect.WEAKER, says)


def validation_rows(versions: Versions) -> Iterator[Finding]:
    """W204: fewer rows choose the checkpoint and show overfitting."""
    found = versions.find("splits.validation")
    old, new = versions.old.recipe.splits.validation, versions.new.recipe.splits.validation
    if found is None:
        return
    smaller = is_smaller(old, new)
    if smaller is not None:
        yield finding_of(found, "W204", Effect.WEAKER if smaller else Effect.STRONGER)


def is_smaller(old: Size, new: Size) -> bool | None:
    """Return whether a size became smaller; None where two kinds of sizes cannot be compared."""
    if new == 0:
        return True
    if old == 0:
        return False
    if isinstance(old, str) or isinstance(new, str):
        return True if isinstance(old, str) and isinstance(new, int) else None
    # Rows and shares cannot be compared without the data.
    return new < old if type(old) is type(new) else None


def further_seeds(versions: Versions) -> Iterator[Finding]:
    """W210: with fewer seeds less is known of what is luck; others in their place say as much."""
    found = versions.find("method.seeds")
    old, new = (len(side.recipe.method.seeds) for side in (versions.old, versions.new))
    if found is not None and old != new:
        yield finding_of(found, "W210", Effect.WEAKER if new < old else Effect.STRONGER)


def choice_of_the_model(versions: Versions) -> Iterator[Finding]:
    """W209: a model that the validation rows chose looks better on them than it is."""
    old, new = versions.old.recipe, versions.new.recipe
    if old.acceptance.max_overfitting_gap is None or new.acceptance.max_overfitting_gap is None:
        return
    says = "the rows that `acceptance.overfitting` compares with now choose the model"
    stopping = versions.find("method.early_stopping.patience")
    if stopping is not None and stopping.before is None:
        yield finding_of(stopping, "W209", Effect.WEAKER, says)
    keep = versions.find("method.keep")
    if keep is not None and keep.after == "best":
        yield finding_of(keep, "W209", Effect.WEAKER, says)
    sweep = versions.find("sweep")
    if sweep is not None and sweep.before is None:
        yield finding_of(sweep, "W209", Effect.WEAKER, says)


def uncovered(versions: Versions) -> Iterator[Finding]:
    """W118: the gate judges the model before it is quantized."""
    old, new = versions.old.recipe.export, versions.new.recipe.export
    if covers(new) or not new.has_quantized_file:
        return
    formats, quantization = versions.find("export.formats"), versions.find("export.quantization")
    if formats is not None and not old.has_quantized_file:
        says = "a quantized file leaves, and no bound says how good it must be"
        yield finding_of(formats, "W118", Effect.WEAKER, says)
    if quantization is not None and old.has_quantized_file and bits(new) < bits(old):
        says = "fewer bits, and no bound says how good the file must be"
        yield finding_of(quantization, "W118", Effect.WEAKER, says)


def covers(export: Export) -> bool:
    """Return whether a bound says how good the quantized file must be."""
    named = {one.metric for one in export.max_drops} | {one.metric for one in export.thresholds}
    return bool(named - _OF_THE_MACHINE)


def bits(export: Export) -> int:
    """Return the fewest bits a weight that the file that leaves may have, by the quantization's name."""
    found = [re.search(r"\d+", name) for name in export.quantizations]
    return min((int(digits[0]) for digits in found if digits), default=0)


def overrides(versions: Versions) -> Iterator[Finding]:
    """W601: settings passed to the backend past the recipe language."""
    for one in versions.differing:
        if one.form != OVERRIDES:
            continue
        if one.after is None:
            yield finding_of(one, "W601", Effect.STRONGER, "the recipe decides again")
        else:
            says = "past the recipe language" if one.before is None else ""
            yield finding_of(one, "W601", Effect.WEAKER, says)
