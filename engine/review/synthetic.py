"""How synthetic rows are kept, reviewed and compared: what a change of it lets through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.evidence.review import Finding
from engine.review.compare import ChangedKey, Versions, finding_of

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
    """Return what fewer reviewed rows, more wrong ones, or no file says."""
    before, after = one.before, one.after
    if one.form == REVIEW[0]:
        return finding_of(one, "W214", "another file" if after else "", weaker=after is None)
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return finding_of(one, "W214", weaker=after is None)
    is_weaker = after < before if one.form.endswith("reviewed.min") else after > before
    return finding_of(one, "W214", weaker=is_weaker)
