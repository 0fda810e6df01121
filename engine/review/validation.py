"""What stands beside the bounds: how they are decided, the rival, and the validation rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engine.estimate.stages import BITS
from engine.evidence.review import Finding
from engine.recipe.model import FROM_TRAIN, Export, Json, ValidationSize
from engine.review.compare import Versions, finding_of
from engine.review.flatten import OVERRIDES

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
