"""The last accepted model of a recipe, and its answers on the holdout.

It comes from the runs of the store, or from the lock of the recipe, which may be of another machine. An accepted run
that would train the same model again is not its own rival. Its answers are part of the gate's key: a verdict is formed
anew where another model has been accepted since.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from engine.lock.coherence import (
    OF_PROBABILITIES,
    contradicted_by_answers,
    contradictions,
    match_answers,
)
from engine.lock.file import Accepted
from engine.metrics.comparing import Earlier
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.metrics import primary
from engine.recipe.model import Recipe
from engine.store import Artifact, Store, make_key
from engine.store.records import AcceptedRun
from engine.values import Value

PAYLOAD = "previous"
"""The entry of the gate's key payload that names the answers."""
GONE = "the store no longer holds its answers"
LOCK = "the lock"
HOLDOUT = "predictions.holdout.jsonl"
CONTRADICTORY = "the lock contradicts itself"


class Previous(Value):
    run: AcceptedRun | None
    """Its run; None where only the lock knows of it."""
    answers: Artifact | None
    """Artifact of its answers; None where the store does not have them."""
    file: str
    locked: Accepted | None = None
    """The accepted run of the lock, where the answers are those of the lock."""
    holdout: str = ""
    """sha256 of the rows of this run's holdout, to compare with the lock's; empty before the split."""
    exported: Artifact | None = None
    """Artifact of the answers of its exported forms; None where the store does not have it."""

    def identity(self) -> dict[str, Any]:
        if self.locked is not None:
            parts = ("finished", "metrics", "answers", "splits", "verdicts")
            facts = {name: getattr(self.locked, name) for name in parts}
            return {"file": self.file, "lock": make_key(facts).digest}
        answers = self.answers.digest() if self.answers else None
        return {"file": self.file, "answers": answers}

    def earlier(self, rows: Sequence[Prediction], *, recipe: Recipe, form: str = "") -> Earlier:
        """Return its answers, if they are to the same rows: those of its exported form, where the store has them."""
        if self.locked is not None:
            return _from_lock(self, self.locked, rows, recipe)
        accepted = self.run.started.partition("T")[0] if self.run else ""
        artifact, file, source = self.answers, self.file, ""
        name = f"predictions.{form}.jsonl"
        if form and self.exported is not None and (self.exported.path / name).is_file():
            artifact, file, source = self.exported, name, "its exported file"
        if artifact is None or not (artifact.path / file).is_file():
            return Earlier(accepted=accepted, why_not=GONE)
        answers = read_predictions(artifact.file(file))
        targets, known = (
            {
                row.id: (row.target, row.references, row.rejected_bytes, row.desirable)
                for row in side
            }
            for side in (rows, answers)
        )
        if known == targets:
            return Earlier(answers=answers, accepted=accepted, source=source)
        shared = sum(targets.get(key) == target for key, target in known.items())
        why_not = (
            f"it was judged on another holdout, {shared} of whose {len(known)} rows are in this one"
        )
        return Earlier(accepted=accepted, why_not=why_not, source=source)


def find_previous(
    recipe: Recipe,
    store: Store,
    accepted: Sequence[AcceptedRun],
    *,
    train: str,
    locked: Accepted | None = None,
    holdout: str = "",
) -> Previous | None:
    """Return the newest accepted model that was not trained under the key `train`.

    `locked` is the accepted run of the lock. Where it is a run of this store, the store knows more of it; otherwise
    the newer of both is taken.
    """
    stage, file = answers_of(recipe)
    # a run with the same training key is the same model, which is not its own rival
    run = next((run for run in accepted if run.keys.get("train") != train), None)
    stored = None
    if run is not None:
        answers, exported = (store.get(run.keys.get(name) or "-") for name in (stage, "verify"))
        stored = Previous(run=run, answers=answers, file=file, exported=exported)
    if locked is None:
        return stored
    # the run of this store that wrote the accepted part of the lock. A later run can have reused these predictions,
    # but cannot have written the lock
    finished, digest = datetime.fromisoformat(locked.finished), locked.predictions.get("holdout")
    origin = next(
        (
            earlier
            for earlier in accepted
            if datetime.fromisoformat(earlier.started) <= finished
            and (made := store.get(earlier.keys.get("evaluate") or "-")) is not None
            and (HOLDOUT, digest) in [(entry.name, entry.sha256) for entry in made.files]
        ),
        None,
    )
    # this store has accepted a newer model than the lock's
    if origin is None and run is not None and finished < datetime.fromisoformat(run.started):
        return stored
    # the store has the lock's run, and any model accepted since, unless it has lost the answers of that very run
    if origin is not None and (origin is not run or (stored and stored.answers)):
        return stored
    return Previous(run=None, answers=None, file=file, locked=locked, holdout=holdout)


def answers_of(recipe: Recipe) -> tuple[str, str]:
    """Return stage and file of the answers that a model is judged by: with folds the answers to all folds."""
    if recipe.splits.folds:
        return "resample", "predictions.folds.jsonl"
    return "evaluate", HOLDOUT


def _from_lock(
    previous: Previous, locked: Accepted, tuned: Sequence[Prediction], recipe: Recipe
) -> Earlier:
    """Return the answers of the lock; none where the lock contradicts itself, or they cannot be paired."""
    accepted = locked.finished.partition("T")[0]
    before = None if recipe.splits.folds else match_answers(locked.answers, tuned, recipe.task)
    differing = contradicted_by_answers(locked, before, recipe) if before else {}
    why_not = ""
    if wrong := "; ".join(contradictions(locked)):
        why_not = f"{CONTRADICTORY}: {wrong}"
    elif recipe.splits.folds:
        why_not = "the lock holds answers to its holdout only, and with folds every row is judged"
    # an equal number of rows does not show that they are the same: the lock's answers have no ids
    elif before is None or locked.splits.get("holdout") != previous.holdout:
        why_not = "its lock is of another holdout than this run's"
    elif not before.unknown and (wrong := "; ".join(filter(None, differing.values()))):
        why_not = f"{CONTRADICTORY}: {wrong}"
    if why_not or before is None:
        return Earlier(accepted=accepted, why_not=why_not, source=LOCK)
    asked = [drop.metric for drop in recipe.acceptance.over_previous]
    main = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
    why = "the lock holds answers and no probabilities"
    why_not_by = {name: why for name in asked if name in OF_PROBABILITIES}
    if before.unknown:
        of = f"{before.unknown} of {len(before.rows)} answers"
        why = f"{of} cannot be recovered from the hashes that the lock keeps, so rows cannot be paired"
        # where a metric has the value of the lock, the missing answers do not matter to it
        why_not_by |= {name: why for name in (*asked, main) if differing.get(name, why)}
    return Earlier(answers=before.rows, accepted=accepted, why_not_by=why_not_by, source=LOCK)
