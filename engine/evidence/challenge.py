"""What a newer base model comes to beside the accepted model of a recipe."""

from __future__ import annotations

from enum import StrEnum

from engine.evidence.verdicts import Comparison
from engine.values import Number, Value


class ChallengeOutcome(StrEnum):
    """How a newer base model compares with an accepted model."""

    BETTER = "better"
    AS_GOOD = "as good"
    WORSE = "worse"
    UNKNOWN = "cannot be decided"

    @classmethod
    def _missing_(cls, value: object) -> ChallengeOutcome | None:
        # Results that were stored before 0.2.0.
        return cls.UNKNOWN if value == "cannot be told" else None


class ChallengeLine(Value):
    """One of the newcomer's ways to answer, on one metric."""

    comparison: Comparison
    """How much better the newcomer is, not the accepted model."""
    standing: ChallengeOutcome
    margin: Number
    """So much worse counts as as good."""
    accepted: Number | None
    newcomer: Number | None
    rows: int | None
    """Estimated rows that would decide; None where it is decided, or where no number of rows would."""


class Challenge(Value):
    """A newer base model against the accepted model of a recipe, on the same holdout."""

    schema: str
    """`challenge.v1`."""
    recipe_name: str
    run: str
    """Of the accepted model, by folder name."""
    accepted: str
    """Its base model and method, in words."""
    base_model: str
    trained: bool
    """The newcomer was trained as the recipe says; else it answered untouched."""
    holdout: str
    """Digest of its rows."""
    rows: int
    standing: ChallengeOutcome
    candidate: str
    """The way to answer that the standing speaks of: a baseline, or `trained`."""
    lines: tuple[ChallengeLine, ...]
    costs: tuple[str, ...]
    """Size and seconds, in words."""
    edit: str
    """What adopts it, as the recipe would say it."""
    notes: tuple[str, ...]
    started: str
    seconds: Number
