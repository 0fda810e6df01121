"""What leaves, and what the language cannot see: files that no bound covers, backend overrides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engine.evidence.review import Effect, Finding
from engine.recipe.model import Export
from engine.review.compare import Pair, finding_of
from engine.review.flatten import OVERRIDES

_OF_THE_MACHINE: Final = frozenset(
    {"file_megabytes", "tokens_per_second", "first_token_milliseconds", "peak_memory_megabytes"}
)
"""Bounds that say nothing of how good the file is."""


def uncovered(pair: Pair) -> Iterator[Finding]:
    """W118: the gate judges the model before it is quantized."""
    old, new = pair.old.recipe.export, pair.new.recipe.export
    if covers(new) or not new.has_quantized_file:
        return
    formats, quantization = pair.find("export.formats"), pair.find("export.quantization")
    if formats is not None and not old.has_quantized_file:
        says = "a quantized file leaves, and no bound says how good it must be"
        yield finding_of(formats, "W118", Effect.WEAKER, says)
    if quantization is not None and old.has_quantized_file and bits(new) < bits(old):
        says = "fewer bits, and no bound says how good the file must be"
        yield finding_of(quantization, "W118", Effect.WEAKER, says)


def covers(export: Export) -> bool:
    """Tell whether a bound says how good the quantized file must be."""
    named = {one.metric for one in export.max_drops} | {one.metric for one in export.thresholds}
    return bool(named - _OF_THE_MACHINE)


def bits(export: Export) -> int:
    """Return the fewest bits a weight that the file that leaves may have, by the quantization's name."""
    found = [re.search(r"\d+", name) for name in export.quantizations]
    return min((int(digits[0]) for digits in found if digits), default=0)


def overrides(pair: Pair) -> Iterator[Finding]:
    """W601: what the backend is told past the recipe language."""
    for one in pair.differing:
        if one.form != OVERRIDES:
            continue
        if one.after is None:
            yield finding_of(one, "W601", Effect.STRONGER, "the recipe decides again")
        else:
            says = "past the recipe language" if one.before is None else ""
            yield finding_of(one, "W601", Effect.WEAKER, says)
