"""The last accepted model of a recipe: which one it is, and its answers on the holdout.

Another model than the one at hand: a run that was accepted before and would train the same again
is not its own rival. Its answers are part of the gate's key, so that a verdict is reached anew where
another model has been accepted since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.metrics.comparing import Earlier
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.model import Recipe
from engine.store import Artifact, Store
from engine.store.runs import AcceptedRun

PAYLOAD = "previous"
"""The entry of the gate's key payload that names the answers."""
GONE = "the store no longer holds its answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The last accepted model."""

    run: AcceptedRun
    answers: Artifact | None
    """The artifact that holds them; None where the store no longer does."""
    file: str

    def identity(self) -> dict[str, Any]:
        """What stands for it in a key."""
        answers = self.answers.digest() if self.answers else None
        return {"file": self.file, "answers": answers}


def find_previous(
    recipe: Recipe, store: Store, accepted: Sequence[AcceptedRun], *, train: str
) -> Previous | None:
    """Return the newest accepted model that was not trained under the key `train`."""
    run = next((run for run in accepted if run.keys.get("train") != train), None)
    if run is None:
        return None
    stage, file = answers_of(recipe)
    key = run.keys.get(stage)
    return Previous(run=run, answers=store.get(key) if key else None, file=file)


def answers_of(recipe: Recipe) -> tuple[str, str]:
    """Return the stage and file of the answers that judge a model: with folds those of all of them."""
    if recipe.splits.folds:
        return "resample", "predictions.folds.jsonl"
    return "evaluate", "predictions.holdout.jsonl"


def earlier(previous: Previous | None, tuned: Sequence[Prediction]) -> Earlier:
    """Read the answers, if they are to the same rows as the tuned model's."""
    if previous is None:
        return Earlier()
    accepted = _day(previous.run.started)
    if previous.answers is None or not (previous.answers.path / previous.file).is_file():
        return Earlier(accepted=accepted, why_not=GONE)
    answers = read_predictions(previous.answers.file(previous.file))
    why_not = _why_not(tuned, answers)
    return Earlier(answers=() if why_not else answers, accepted=accepted, why_not=why_not)


def _why_not(tuned: Sequence[Prediction], answers: Sequence[Prediction]) -> str:
    targets = {row.id: row.target for row in tuned}
    known = {row.id: row.target for row in answers}
    if known == targets:
        return ""
    shared = sum(targets.get(key) == target for key, target in known.items())
    return f"it was judged on another holdout, {shared} of whose {len(known)} rows are in this one"


def _day(started: str) -> str:
    try:
        return datetime.fromisoformat(started).date().isoformat()
    except ValueError:
        return "an unknown day"
