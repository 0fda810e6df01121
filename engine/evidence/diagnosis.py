"""Whether training did too little, too much or enough, and the edit of the recipe that follows from it."""

from __future__ import annotations

from enum import StrEnum

from engine.values import Value


class Fit(StrEnum):
    """How a model stands to the rows that it was trained on and to those that it never saw."""

    UNDERFITTED = "underfitted"
    OVERFITTED = "overfitted"
    FITS = "fits"
    NOISE_CEILING = "noise_ceiling"
    """It answers as well as the labels of the rows allow."""
    NOT_KNOWN = "not_known"


class RecipeEdit(Value):
    """One key of the recipe and the value that would help; both values as YAML writes them."""

    key: str
    """With dots: `method.epochs`."""
    current: str
    proposed: str


class Diagnosis(Value):
    """What train, validation and holdout scores and the losses say together."""

    fit: Fit
    reasons: tuple[str, ...]
    """The numbers that it stands on, or why it is not known; the one that decided first."""
    cause: str = ""
    """What helps before any setting of the training: a base model of the rows' language, rows of a label."""
    edits: tuple[RecipeEdit, ...] = ()
    """To be made together; empty where no edit is known to help."""
    yaml: str = ""
    """The same edits, ready to paste into the recipe: `method: {epochs: 5}`."""
