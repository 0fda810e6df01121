"""What stands beside the bounds: how they are decided, the rival, and the validation rows."""

from __future__ import annotations

from collections.abc import Iterator

from engine.evidence.review import Effect, Finding
from engine.recipe.model import Size
from engine.review.compare import Versions, finding_of


def decide_on(pair: Versions) -> Iterator[Finding]:
    """W105: a value without its interval passes by luck."""
    found = pair.find("acceptance.decide_on")
    if found is not None:
        effect = Effect.WEAKER if found.after == "point" else Effect.STRONGER
        yield finding_of(found, "W105", effect)


def name_of_the_rival(pair: Versions) -> Iterator[Finding]:
    """W109: the last accepted model is found by the recipe's name."""
    found = pair.find("name")
    if found is not None and pair.new.recipe.acceptance.over_previous:
        says = "the last accepted model is found by the old name, so `over_previous` has no rival"
        yield finding_of(found, "W109", Effect.WEAKER, says)


def validation_rows(pair: Versions) -> Iterator[Finding]:
    """W204: fewer rows choose the checkpoint and show overfitting."""
    found = pair.find("splits.validation")
    old, new = pair.old.recipe.splits.validation, pair.new.recipe.splits.validation
    if found is None:
        return
    smaller = is_smaller(old, new)
    if smaller is not None:
        yield finding_of(found, "W204", Effect.WEAKER if smaller else Effect.STRONGER)


def is_smaller(old: Size, new: Size) -> bool | None:
    """Tell whether a size became smaller; None where two kinds of sizes cannot be compared."""
    if new == 0:
        return True
    if old == 0:
        return False
    if isinstance(old, str) or isinstance(new, str):
        return True if isinstance(old, str) and isinstance(new, int) else None
    return new < old if type(old) is type(new) else None


def further_seeds(pair: Versions) -> Iterator[Finding]:
    """W210: with fewer seeds less is known of what is luck; others in their place say as much."""
    found = pair.find("method.seeds")
    old, new = (len(side.recipe.method.seeds) for side in (pair.old, pair.new))
    if found is not None and old != new:
        yield finding_of(found, "W210", Effect.WEAKER if new < old else Effect.STRONGER)


def choice_of_the_model(pair: Versions) -> Iterator[Finding]:
    """W209: a model that the validation rows chose looks better on them than it is."""
    old, new = pair.old.recipe, pair.new.recipe
    if old.acceptance.max_overfitting_gap is None or new.acceptance.max_overfitting_gap is None:
        return
    says = "the rows that `acceptance.overfitting` compares with now choose the model"
    stopping = pair.find("method.early_stopping.patience")
    if stopping is not None and stopping.before is None:
        yield finding_of(stopping, "W209", Effect.WEAKER, says)
    keep = pair.find("method.keep")
    if keep is not None and keep.after == "best":
        yield finding_of(keep, "W209", Effect.WEAKER, says)
    sweep = pair.find("sweep")
    if sweep is not None and sweep.before is None:
        yield finding_of(sweep, "W209", Effect.WEAKER, says)
